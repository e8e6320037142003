/*
 * A substitute of NVIDIA's driver and libraries: it computes nothing and counts what it is asked for. With it onnxruntime's own CUDA
 * provider loads, places nodes and runs graphs on a machine without a GPU. Functions are those that the provider of onnxruntime 1.30
 * links, with as many parameters as are read here: by the calling convention of x86-64 the others do no harm.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* What is counted, in the order in which fake_read gives it. */
enum counter { LAUNCHES, PRODUCTS, UPS, UP_BYTES, DOWNS, DOWN_BYTES, ACROSS, FILLS, WAITS, ALLOCATIONS, ALLOCATED_BYTES, GRAPHS, COUNTERS };

extern int64_t fake_counts[COUNTERS];

/* A function that succeeds, and nothing comes of it. */
#define NOTHING(name) int name(void) { return 0; }

/* A function that has the device compute something, and is counted. */
#define COUNTED(name, counter) int name(void) { fake_counts[counter]++; return 0; }
#define LAUNCH(name) COUNTED(name, LAUNCHES)
#define PRODUCT(name) COUNTED(name, PRODUCTS)

/* A function that makes something, which nobody looks into: its first parameter says where the handle goes. */
#define MAKES(name) int name(void **made) { return (*made = calloc(1, 4096)) ? 0 : 2; }

/* A function that says what it succeeded in, or failed with. */
#define SAYS(name) const char *name(int code) { return code ? "the fake driver has failed" : "success"; }
