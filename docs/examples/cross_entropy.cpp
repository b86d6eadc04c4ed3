// Cross entropy in C++, with the library's messages in the program's own log.
//
//   c++ -std=c++20 cross_entropy.cpp $(pkg-config --cflags --libs isofold-runtime) -o cross_entropy
#include <isofold/isofold.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

int main() {
  constexpr std::int64_t classes = 32000, tokens = 8;
  try {
    isofold::RuntimeOptions options;
    options.device = "cpu";
    options.log_level = isofold::LogLevel::info;
    options.log = [](isofold::LogLevel level, std::string_view message) {
      std::printf("[isofold %s] %s\n", std::string(name_of(level)).c_str(), std::string(message).c_str());
    };
    const isofold::Runtime runtime(options);
    const isofold::Operator op = runtime.make_operator(isofold::cross_entropy({.n = classes, .dtype = isofold::DType::f32}));
    op.prepare_up_to(tokens);

    const std::vector<float> logits(classes * tokens);  // all alike: every loss is log(classes)
    const std::vector<std::int32_t> targets{0, 1, 2, 31999, 5, 6, 7, -100};  // the last row is ignored
    std::vector<float> loss(tokens), logsumexp(tokens);
    const isofold::ConstTensor inputs[] = {{logits.data()}, {targets.data()}};
    const isofold::MutableTensor outputs[] = {{loss.data()}, {logsumexp.data()}};
    op.launch(nullptr, inputs, outputs, tokens);
    std::printf("loss %.6f, of a row that is ignored %.1f; log(%d) is %.6f\n", loss[0], loss[7], static_cast<int>(classes),
                std::log(static_cast<double>(classes)));
    return std::abs(loss[3] - std::log(32000.0)) < 1e-5 && loss[7] == 0 ? 0 : 1;
  } catch (const isofold::UsageError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
