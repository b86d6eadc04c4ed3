#include "markup.hpp"

#include <cctype>
#include <vector>

namespace isofold::testing {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::string fault() {
    while (place_ < text_.size() && fault_.empty()) {
      if (text_[place_] == '<')
        tag();
      else
        content();
    }
    if (fault_.empty() && !open_.empty()) complain("<" + open_.back() + "> is never closed");
    if (fault_.empty() && roots_ != 1) complain("there is not one root element");
    return fault_;
  }

 private:
  void complain(const std::string& what) {
    if (fault_.empty())
      fault_ = what + " at byte " + std::to_string(place_) + ": " + std::string(text_.substr(place_, 40));
  }

  std::string name() {
    const std::size_t start = place_;
    while (place_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[place_])) || text_[place_] == '-'))
      ++place_;
    return std::string(text_.substr(start, place_ - start));
  }

  void blanks() {
    while (place_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[place_]))) ++place_;
  }

  bool take(std::string_view token) {
    if (!text_.substr(place_).starts_with(token)) return false;
    place_ += token.size();
    return true;
  }

  void entity() {
    const std::size_t end = text_.find(';', place_);
    if (end == text_.npos || end - place_ > 8) complain("a bare &");
    ++place_;
  }

  void content() {
    if (open_.empty() && !std::isspace(static_cast<unsigned char>(text_[place_])))
      return complain("text outside the root");
    if (text_[place_] == '&') return entity();
    ++place_;
  }

  void tag() {
    if (take("<!DOCTYPE html>")) return;
    ++place_;
    if (take("/")) {
      const std::string closed = name();
      if (open_.empty() || open_.back() != closed) return complain("</" + closed + "> closes nothing");
      open_.pop_back();
      if (!take(">")) complain("a tag without >");
      return;
    }
    const std::string opened = name();
    if (opened.empty()) return complain("a bare <");
    if (open_.empty()) ++roots_;
    for (blanks(); place_ < text_.size() && text_[place_] != '>' && text_[place_] != '/'; blanks())
      attribute();
    if (take("/>")) return;
    if (!take(">")) return complain("a tag without >");
    open_.push_back(opened);
    if (opened == "style") place_ = text_.find("</style>", place_);
    if (place_ == text_.npos) place_ = text_.size();
  }

  void attribute() {
    if (name().empty() || !take("=\""))
      return complain("an attribute that is not name=\"value\""), void(place_ = text_.size());
    while (place_ < text_.size() && text_[place_] != '"') {
      if (text_[place_] == '<') return complain("< in an attribute");
      if (text_[place_] == '&')
        entity();
      else
        ++place_;
    }
    if (!take("\"")) complain("an attribute without end");
  }

  std::string_view text_;
  std::size_t place_ = 0;
  std::vector<std::string> open_;
  int roots_ = 0;
  std::string fault_;
};

}  // namespace

std::string markup_fault(std::string_view text) { return Reader(text).fault(); }

}  // namespace isofold::testing
