"""The four cases of transfer learning in CS231n: little or much data, like or unlike ImageNet."""
