/* cuRAND (libcurand.so.10): nothing of it is called. */
#include "fake.h"

NOTHING(curandCreateGenerator)
