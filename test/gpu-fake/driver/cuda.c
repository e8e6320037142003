/* The part of NVIDIA's driver that the provider links (libcuda.so.1). */
#include "fake.h"

NOTHING(cuTensorMapEncodeTiled)
NOTHING(cuInit)
