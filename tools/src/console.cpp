#include "console.hpp"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>

namespace isofold::tools {
namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

void on_interrupt(int) { interrupt_seen = 1; }

int output_error = 0;  // errno of the first text that did not reach standard output

void write_all(std::FILE* file, std::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if ((std::fflush(file) == 0 && written) || file != stdout || output_error != 0) return;
  output_error = errno == 0 ? EIO : errno;
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string blanks(width - std::min(width, columns_of(text)), ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

Console::Console() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool plain = (no_colour && *no_colour) || (terminal && std::string_view(terminal) == "dumb");
  colour_ = !plain && isatty(STDOUT_FILENO);
}

void Console::print(std::string_view text) { write_all(stdout, text); }

void Console::complain(std::string_view text) { write_all(stderr, fmt::format("isofold: {}\n", text)); }

std::string Console::styled(const char* code, std::string_view text) const {
  return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

void Console::document(const Json& value) const {
  // Text of other programs (compiler logs, device names) need not be UTF-8: replaced, not thrown at.
  if (json) print(value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Console::failure(std::string_view kind, std::string_view message) const {
  constexpr std::string_view prefix = "isofold: ";
  if (message.starts_with(prefix)) message.remove_prefix(prefix.size());
  complain(message);
  document({{"error", {{"kind", kind}, {"message", message}}}});
}

Table::Table(std::vector<std::string> header) {
  for (std::string& title : header) {
    right_.push_back(title.starts_with('>'));
    if (right_.back()) title.erase(0, 1);
  }
  rows_.push_back(std::move(header));
}

void Table::row(std::vector<std::string> cells) {
  cells.resize(right_.size());
  rows_.push_back(std::move(cells));
}

void Table::print(const Console& console) const {
  constexpr std::size_t comfortable = 110, least_header = 12;
  std::vector<std::size_t> widths(right_.size());
  std::size_t total = 0;
  for (std::size_t i = 0; i < right_.size(); ++i) {
    for (std::size_t r = 1; r < rows_.size(); ++r) widths[i] = std::max(widths[i], columns_of(rows_[r][i]));
    total += std::max(widths[i], columns_of(rows_[0][i])) + 2;
  }
  // Titles of several lines end in the same one.
  std::vector<std::vector<std::string>> header;
  std::size_t height = 1;
  for (std::size_t i = 0; i < right_.size(); ++i) {
    const std::string& title = rows_[0][i];
    header.push_back(total > comfortable ? wrapped(title, std::max(widths[i], least_header))
                                         : std::vector{title});
    for (const std::string& line : header[i]) widths[i] = std::max(widths[i], columns_of(line));
    height = std::max(height, header[i].size());
  }
  const auto print_line = [&](bool bold, const auto& cell) {
    std::string line;
    for (std::size_t i = 0; i < right_.size(); ++i) {
      if (i > 0) line += "  ";
      line += padded(cell(i), widths[i], right_[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    console.line("{}", bold ? console.bold(line) : line);
  };
  for (std::size_t l = 0; l < height; ++l)
    print_line(true, [&](std::size_t i) {
      const std::size_t above = height - header[i].size();
      return l < above ? std::string() : header[i][l - above];
    });
  for (std::size_t r = 1; r < rows_.size(); ++r)
    print_line(false, [&](std::size_t i) { return rows_[r][i]; });
}

std::string lost_output() {
  if (output_error == 0 || output_error == EPIPE) return "";
  return fmt::format("standard output could not be written: {}",
                     std::error_code(output_error, std::generic_category()).message());
}

Progress::Progress(const Console& console) {
  if (!console.quiet) form_ = isatty(STDERR_FILENO) ? Form::bar : Form::lines;
}

void Progress::update(std::string_view stage, std::size_t done, std::size_t total) {
  if (form_ == Form::none) return;
  const auto now = std::chrono::steady_clock::now();
  const bool new_stage = stage != stage_;
  if (new_stage && form_ == Form::lines) clear();
  const auto pause = form_ == Form::bar ? std::chrono::milliseconds(80) : std::chrono::milliseconds(10000);
  stage_ = stage;
  done_ = done;
  total_ = total;
  unwritten_ = true;
  if (!new_stage && now - last_ < pause) return;
  last_ = now;
  if (form_ == Form::lines) return write_line();
  constexpr std::size_t width = 30;
  const std::size_t filled = total == 0 ? 0 : width * std::min(done, total) / total;
  std::string bar;
  for (std::size_t i = 0; i < width; ++i) bar += i < filled ? "━" : "╌";
  write_all(stderr, fmt::format("\r\x1b[K{:<10} {} {} of {}", stage, bar, done, total));
  drawn_ = true;
}

void Progress::write_line() {
  write_all(stderr, fmt::format("{}: {} of {}\n", stage_, done_, total_));
  unwritten_ = false;
}

void Progress::clear() {
  if (form_ == Form::lines && unwritten_) write_line();
  if (drawn_) write_all(stderr, "\r\x1b[K");
  drawn_ = false;
}

void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupt_seen != 0; }

std::size_t columns_of(std::string_view text) {
  std::size_t count = 0;
  bool escape = false;
  for (const char c : text) {
    if (escape) {
      escape = c != 'm';
    } else if (c == '\x1b') {
      escape = true;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      ++count;
    }
  }
  return count;
}

std::vector<std::string> wrapped(const std::string& text, std::size_t columns) {
  std::vector<std::string> lines = {""};
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    if (!lines.back().empty() && columns_of(lines.back()) + 1 + columns_of(word) > columns)
      lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    start = end + 1;
  }
  return lines;
}

std::string grouped(std::uint64_t number) {
  if (number < 1000) return std::to_string(number);
  return fmt::format("{},{:03}", grouped(number / 1000), number % 1000);
}

std::string counted(std::int64_t count, std::string_view noun) {
  if (count == 1) return fmt::format("1 {}", noun);
  if (noun.ends_with("leaf")) return fmt::format("{} {}ves", count, noun.substr(0, noun.size() - 1));
  if (noun.ends_with("ry")) return fmt::format("{} {}ies", count, noun.substr(0, noun.size() - 1));
  return fmt::format("{} {}s", count, noun);
}

std::string short_number(double value) {
  if (value < 10) return fmt::format("{:.3f}", value);
  if (value < 100) return fmt::format("{:.2f}", value);
  if (value < 1000) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

std::string byte_count(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(units)) bytes /= 1024, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

}  // namespace isofold::tools
