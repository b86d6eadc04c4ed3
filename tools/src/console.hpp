#pragma once
#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isofold::tools {

using Json = nlohmann::ordered_json;

/// What the command returns to the shell; --help of every sub-command lists them.
enum ExitCode : int {
  exit_ok = 0,
  exit_check_failed = 1,  // it ran, and what it checked is not so: differing bits, a damaged cache entry, ...
  exit_usage = 2,         // wrong arguments, or something this machine lacks
  exit_internal = 3,      // a defect of Isofold
  exit_interrupted = 130  // Ctrl-C; files that were promised are whole
};

/// Where a sub-command's words go. Results go to standard output: lines for people, or with --json one
/// document and nothing else. Remarks and progress go to standard error.
class Console {
 public:
  bool json = false;
  bool quiet = false;

  /// Decides about colour from the terminal and NO_COLOR.
  Console();

  /// One line of the result; nothing with --json.
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) const {
    if (!json) print(fmt::format(format, std::forward<Args>(args)...) + "\n");
  }
  void line() const {
    if (!json) print("\n");
  }
  /// Text that is the result itself, as it is (generated source); nothing with --json.
  void raw(std::string_view text) const {
    if (!json) print(text);
  }
  /// A remark on standard error; nothing with --quiet.
  template <class... Args>
  void remark(fmt::format_string<Args...> format, Args&&... args) const {
    if (!quiet) complain(fmt::format(format, std::forward<Args>(args)...));
  }
  /// The result with --json; nothing without.
  void document(const Json& value) const;
  /// An error on standard error, and with --json as the document {"error": {...}} too.
  void failure(std::string_view kind, std::string_view message) const;

  std::string bold(std::string_view text) const { return styled("1", text); }
  std::string dim(std::string_view text) const { return styled("2", text); }
  std::string good(std::string_view text) const { return styled("32", text); }
  std::string bad(std::string_view text) const { return styled("31", text); }

  /// Text for standard output, whatever the form of the result.
  static void print(std::string_view text);

 private:
  static void complain(std::string_view text);
  std::string styled(const char* code, std::string_view text) const;

  bool colour_ = false;
};

/// Rows of text under a header, columns as wide as they need. A column whose header begins with '>' is
/// right-aligned. Headers take several lines where the table would be too wide for most screens.
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  void row(std::vector<std::string> cells);
  void print(const Console& console) const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

/// What is wrong when something written to standard output did not get there, a full disk for example; ""
/// when all did, or when the reader has gone away, which is its own affair.
std::string lost_output();

/// How far a long piece of work has come, on standard error: a bar that is redrawn on a terminal, lines at
/// the begin and the end of each stage elsewhere, nothing with --quiet.
class Progress {
 public:
  explicit Progress(const Console& console);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }
  /// `done` of `total` items of `stage`. Not thread-safe.
  void update(std::string_view stage, std::size_t done, std::size_t total);
  /// Removes the bar, or says how far the stage came, before other lines are written.
  void clear();

 private:
  enum class Form { none, bar, lines };
  Form form_ = Form::none;
  void write_line();

  std::string stage_;
  std::size_t done_ = 0, total_ = 0;
  bool unwritten_ = false;  // the last state of this stage
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

/// From here on Ctrl-C only sets `interrupted()`, so that what was measured can be written; the second one
/// ends the process.
void catch_interrupt();
bool interrupted();

/// Text width in columns: UTF-8 code points, colour codes not counted.
std::size_t columns_of(std::string_view text);

/// Words broken into lines of at most `columns`, or of one word.
std::vector<std::string> wrapped(const std::string& text, std::size_t columns);

/// "1 leaf", "2 leaves", "0 entries".
std::string counted(std::int64_t count, std::string_view noun);
/// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number);
/// "1.234", "12.35", "123.5", "1235": four digits that mean something.
std::string short_number(double value);
/// "1.5 KiB", "3.2 GiB".
std::string byte_count(double bytes);

}  // namespace isofold::tools
