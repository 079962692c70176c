"""The lectures' four cases of transfer: little or much data, like ImageNet or unlike it."""
