"""Kernels in Triton, and step.cu: what runs on the GPU itself."""
