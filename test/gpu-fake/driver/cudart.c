/* CUDA's runtime (libcudart.so.13): one device, whose memory is the host's, and whose kernels do nothing. */
#include "fake.h"
#include <string.h>

int64_t fake_counts[COUNTERS];

/* Begins to count anew. */
void fake_reset(void) { memset(fake_counts, 0, sizeof fake_counts); }

/* Gives the counts, COUNTERS of them. */
void fake_read(int64_t *into) { memcpy(into, fake_counts, sizeof fake_counts); }

/* The device: an H100 with 80 GB, of which 78 are free. */
static const size_t totalBytes = (size_t)80 << 30, freeBytes = (size_t)78 << 30;

/* Places of fields in cudaDeviceProp, of 1008 bytes, as CUDA 13.0 has it in driver_types.h. */
static void put(void *properties, size_t place, int value) { memcpy((char *)properties + place, &value, sizeof value); }
static void putSize(void *properties, size_t place, size_t value) { memcpy((char *)properties + place, &value, sizeof value); }

int cudaGetDeviceProperties(void *properties, int device) {
  memset(properties, 0, 1008);
  strcpy(properties, "fake H100");
  putSize(properties, 288, totalBytes);
  putSize(properties, 296, 48 << 10); /* sharedMemPerBlock */
  put(properties, 304, 65536);        /* regsPerBlock */
  put(properties, 308, 32);           /* warpSize */
  put(properties, 320, 1024);         /* maxThreadsPerBlock */
  put(properties, 336, 2147483647);   /* maxGridSize */
  put(properties, 340, 65535);
  put(properties, 344, 65535);
  put(properties, 360, 9);              /* major, minor */
  put(properties, 384, 132);            /* multiProcessorCount */
  put(properties, 596, 50 << 20);       /* l2CacheSize */
  put(properties, 604, 2048);           /* maxThreadsPerMultiProcessor */
  putSize(properties, 624, 228 << 10);  /* sharedMemPerMultiprocessor */
  putSize(properties, 672, 227 << 10);  /* sharedMemPerBlockOptin */
  return 0;
}

/* By the numbers of cudaDeviceAttr. */
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
  switch (attribute) {
    case 16: *value = 132; break;       /* processors */
    case 75: *value = 9; break;         /* major */
    case 76: *value = 0; break;         /* minor */
    case 97: *value = 227 << 10; break; /* shared memory of a block that asks for it */
    default: *value = 1;
  }
  return 0;
}

int cudaGetDeviceCount(int *count) { *count = 1; return 0; }
int cudaGetDevice(int *device) { *device = 0; return 0; }
NOTHING(cudaSetDevice)
NOTHING(cudaDeviceSynchronize)
int cudaRuntimeGetVersion(int *version) { *version = 13000; return 0; }
int cudaDriverGetVersion(int *version) { *version = 13000; return 0; }
NOTHING(cudaGetDriverEntryPointByVersion)
SAYS(cudaGetErrorName)
SAYS(cudaGetErrorString)
NOTHING(cudaGetLastError)
NOTHING(cudaPeekAtLastError)

/* Memory. What a kernel would have written is 0. */
static int allocate(void **made, size_t bytes) {
  const size_t line = 256, whole = (bytes + line - 1) / line * line;
  if (!(*made = aligned_alloc(line, whole ? whole : line))) return 2; /* cudaErrorMemoryAllocation */
  memset(*made, 0, whole);
  return 0;
}

int cudaMalloc(void **made, size_t bytes) {
  fake_counts[ALLOCATIONS]++;
  fake_counts[ALLOCATED_BYTES] += bytes;
  return allocate(made, bytes);
}
int cudaMallocFromPoolAsync(void **made, size_t bytes) { return cudaMalloc(made, bytes); }
int cudaMallocHost(void **made, size_t bytes) { return allocate(made, bytes); }
int cudaHostAlloc(void **made, size_t bytes) { return allocate(made, bytes); }
int cudaFree(void *memory) { free(memory); return 0; }
int cudaFreeAsync(void *memory) { free(memory); return 0; }
int cudaFreeHost(void *memory) { free(memory); return 0; }
int cudaMemGetInfo(size_t *available, size_t *total) { *available = freeBytes; *total = totalBytes; return 0; }

/* cudaPointerAttributes begins with the kind of memory: 1 is the host's, 2 the device's. */
int cudaPointerGetAttributes(int *attributes, const void *memory) { memset(attributes, 0, 88); attributes[0] = 1; return 0; }

MAKES(cudaMemPoolCreate)
int cudaMemPoolGetAttribute(void *pool, int attribute, void *value) { memset(value, 0, 8); return 0; }
NOTHING(cudaMemPoolDestroy)
NOTHING(cudaMemPoolSetAttribute)
NOTHING(cudaMemPoolTrimTo)

/*
 * Copies. What comes down is 0, which is finite and a token of every vocabulary; but a single byte is a condition, which holds, so
 * that loops go on to their last step.
 */
int cudaMemcpy(void *to, const void *from, size_t bytes, int kind) {
  enum { UP = 1, DOWN, ON_DEVICE };
  if (kind == DOWN) {
    fake_counts[DOWNS]++;
    fake_counts[DOWN_BYTES] += bytes;
    memset(to, bytes == 1, bytes);
    return 0;
  }
  if (kind == UP) {
    fake_counts[UPS]++;
    fake_counts[UP_BYTES] += bytes;
  } else if (kind == ON_DEVICE) {
    fake_counts[ACROSS]++;
  }
  memmove(to, from, bytes);
  return 0;
}
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind) { return cudaMemcpy(to, from, bytes, kind); }
COUNTED(cudaMemcpy2DAsync, ACROSS)
NOTHING(cudaMemcpyFromSymbol)
int cudaMemset(void *memory, int value, size_t bytes) { fake_counts[FILLS]++; memset(memory, value, bytes); return 0; }
int cudaMemsetAsync(void *memory, int value, size_t bytes) { return cudaMemset(memory, value, bytes); }

/* Streams and events. */
MAKES(cudaStreamCreate)
MAKES(cudaStreamCreateWithFlags)
NOTHING(cudaStreamDestroy)
COUNTED(cudaStreamSynchronize, WAITS)
NOTHING(cudaStreamWaitEvent)
MAKES(cudaEventCreate)
MAKES(cudaEventCreateWithFlags)
NOTHING(cudaEventDestroy)
NOTHING(cudaEventRecord)
COUNTED(cudaEventSynchronize, WAITS)
int cudaEventElapsedTime(float *milliseconds) { *milliseconds = 1; return 0; }
NOTHING(cudaLaunchHostFunc)

/* Graphs of kernels. */
int cudaStreamIsCapturing(void *stream, int *capturing) { *capturing = 0; return 0; }
NOTHING(cudaStreamBeginCapture)
int cudaStreamEndCapture(void *stream, void **made) { return (*made = calloc(1, 64)) ? 0 : 2; }
MAKES(cudaGraphInstantiate)
COUNTED(cudaGraphLaunch, GRAPHS)
NOTHING(cudaGraphDestroy)
NOTHING(cudaGraphExecDestroy)

/* Kernels. */
LAUNCH(cudaLaunchKernel)
LAUNCH(cudaLaunchKernelExC)
LAUNCH(cudaLaunchCooperativeKernel)
LAUNCH(__cudaLaunchKernel)
NOTHING(__cudaGetKernel)
NOTHING(__cudaPushCallConfiguration)
NOTHING(__cudaPopCallConfiguration)
void **__cudaRegisterFatBinary(void *binary) { return calloc(8, sizeof(void *)); }
NOTHING(__cudaRegisterFatBinaryEnd)
NOTHING(__cudaRegisterFunction)
NOTHING(__cudaRegisterVar)
NOTHING(__cudaUnregisterFatBinary)
/* cudaFuncAttributes: 1024 threads of a block, behind four sizes of its memory. */
int cudaFuncGetAttributes(char *attributes) { memset(attributes, 0, 144); put(attributes, 24, 1024); return 0; }
NOTHING(cudaFuncSetAttribute)
NOTHING(cudaKernelSetAttributeForDevice)
NOTHING(cudaLibraryGetKernel)
NOTHING(cudaLibraryLoadData)
NOTHING(cudaLibraryUnload)
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks) { *blocks = 1; return 0; }
