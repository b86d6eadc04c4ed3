#pragma once
#include <fmt/format.h>

#include <string>
#include <utility>

namespace isofold {

/// Prints statements with two-space indentation.
class CodeWriter {
 public:
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    out_.append(static_cast<std::size_t>(depth_) * 2, ' ');
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }
  /// A line that opens a block; `close` ends it.
  template <typename... Args>
  void open(fmt::format_string<Args...> format, Args&&... args) {
    line(format, std::forward<Args>(args)...);
    ++depth_;
  }
  /// Closes one branch and opens the other.
  void otherwise() {
    --depth_;
    line("}} else {{");
    ++depth_;
  }
  void close() {
    --depth_;
    line("}}");
  }
  void comment(std::string_view text) { line("// {}", text); }
  void blank() { out_ += '\n'; }
  /// An unrolled loop from 0 to `count` (a text) in steps of `step`.
  void unrolled(std::string_view variable, std::string_view count, std::string_view step = "1") {
    out_ += "#pragma unroll\n";
    if (step == "1") open("for (int {0} = 0; {0} < {1}; ++{0}) {{", variable, count);
    else open("for (int {0} = 0; {0} < {1}; {0} += {2}) {{", variable, count, step);
  }
  const std::string& text() const { return out_; }

 private:
  std::string out_;
  int depth_ = 0;
};

}  // namespace isofold
