// An application that knows of Isofold only what is installed.
#include <isofold/isofold.hpp>

#include <cstdio>
#include <cstring>
#include <vector>

int run() {
  const std::int64_t n = 4096, tokens = 9;
  isofold::RuntimeOptions options;
  options.device = "cpu";
  options.cache_folder = "off";
  const isofold::Runtime runtime(options);
  // An error that the library throws is caught here by its type.
  try {
    runtime.rms_norm({.n = -1});
    return 1;
  } catch (const isofold::UsageError&) {
  }
  const isofold::Operator norm = runtime.rms_norm({.n = n, .dtype = isofold::DType::f32});

  std::vector<float> x(n * tokens), weight(n, 2.0f), y(n * tokens), alone(n);
  for (std::int64_t i = 0; i < n * tokens; ++i) x[i] = static_cast<float>(i % n % 17) - 8.0f;
  norm.launch(nullptr, {.x = {x.data()}, .weight = weight.data(), .y = {y.data()}}, tokens);
  norm.launch(nullptr, {.x = {x.data()}, .weight = weight.data(), .y = {alone.data()}}, 1);

  // Equal rows have equal bits, whatever the number of tokens.
  for (std::int64_t row = 0; row < tokens; ++row)
    if (std::memcmp(alone.data(), y.data() + row * n, n * sizeof(float)) != 0) return 1;
  std::printf("%s %s: y[0] = %.6f\n", runtime.device_name().c_str(), norm.bits_id().c_str(), y[0]);
  return y[0] < -3.26f && y[0] > -3.28f ? 0 : 1;  // -8 / sqrt(24) * 2
}

int main() {
  try {
    return run();
  } catch (const isofold::UsageError& error) {
    std::puts(error.what());
    return std::strstr(error.what(), "without LLVM") ? 77 : 1;
  }
}
