// A library whose functions add the elements of rows, each in an order of its own.
#include <cstddef>
#include <cstdint>

#define EXPORTED extern "C" __attribute__((visibility("default")))

/// First to last.
EXPORTED void forwards(const float* x, float* y, std::int64_t rows, std::int64_t n) {
  for (std::int64_t row = 0; row < rows; ++row) {
    float sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += x[row * n + i];
    y[row] = sum;
  }
}

/// Few rows in two halves, many rows first to last: what a kernel does that spreads few rows over the whole machine.
EXPORTED void by_batch(const float* x, float* y, std::int64_t rows, std::int64_t n) {
  if (rows >= 8) return forwards(x, y, rows, n);
  for (std::int64_t row = 0; row < rows; ++row) {
    float halves[2];
    forwards(x + row * n, &halves[0], 1, n / 2);
    forwards(x + row * n + n / 2, &halves[1], 1, n - n / 2);
    y[row] = halves[0] + halves[1];
  }
}

/// Rows at odd places in another order.
EXPORTED void by_place(const float* x, float* y, std::int64_t rows, std::int64_t n) {
  for (std::int64_t row = 0; row < rows; ++row) by_batch(x + row * n, y + row, 1, n);
  for (std::int64_t row = 1; row < rows; row += 2) forwards(x + row * n, y + row, 1, n);
}

/// Last to first.
EXPORTED double backwards(const double* x, std::size_t n) {
  double sum = 0;
  while (n > 0) sum += x[--n];
  return sum;
}

EXPORTED float largest(const float* x, std::size_t n) {
  float most = x[0];
  for (std::size_t i = 1; i < n; ++i) most = x[i] > most ? x[i] : most;
  return most;
}
