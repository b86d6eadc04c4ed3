#include "messages.hpp"

#include <nanobind/stl/string.h>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

namespace isofold::python {
namespace nb = nanobind;
namespace {

struct Message {
  LogLevel level;
  std::string text;
  Message* before;
};

// The newest message that was not delivered. Without a lock, which a forked child might find taken.
std::atomic<Message*> newest{nullptr};
std::atomic<LogLevel> wanted{LogLevel::off};
std::atomic<bool> listening{false};
PyObject* function = nullptr;  // guarded by the interpreter's lock, like every Python object

void keep(LogLevel level, std::string_view text) {
  auto* const message = new Message{level, std::string(text), newest.load()};
  while (!newest.compare_exchange_weak(message->before, message)) {
  }
}

/// Also where standard error is closed, for which fmt::print throws.
void print(LogLevel level, std::string_view text) {
  const std::string line = fmt::format("isofold: {}: {}\n", name_of(level), text);
  static_cast<void>(std::fputs(line.c_str(), stderr));
}

void receive(LogLevel level, std::string_view text) {
  if (!listening.load()) {
    print(level, text);
  } else if (level <= wanted.load()) {
    keep(level, text);
    // For a thread that never is in Python. Where too much is pending already, the next call delivers.
    static_cast<void>(Py_AddPendingCall([](void*) { return deliver_messages(), 0; }, nullptr));
  }
}

void deliver(const Message& message) {
  const nb::object called = nb::borrow(function);
  try {
    const nb::object text = nb::steal(PyUnicode_DecodeUTF8(message.text.data(), static_cast<Py_ssize_t>(message.text.size()), "replace"));
    if (!text.is_valid()) throw nb::python_error();
    called(nb::str(name_of(message.level).data()), text);
  } catch (nb::python_error& error) {
    error.discard_as_unraisable(called);
  }
}

LogLevel level_of(const std::string& name) {
  for (const LogLevel level : {LogLevel::off, LogLevel::error, LogLevel::warning, LogLevel::info, LogLevel::debug})
    if (name == name_of(level)) return level;
  throw UsageError(fmt::format("level is \"{}\"; allowed are off, error, warning, info, debug", name));
}

}  // namespace

void use_messages(RuntimeOptions& options) {
  if (listening.load()) options.log_level = wanted.load();
  options.log = receive;
}

void deliver_messages() noexcept {
  if (newest.load() == nullptr) [[likely]]
    return;
  const nb::error_scope kept;
  Message* list = newest.exchange(nullptr);
  Message* oldest = nullptr;
  while (list != nullptr) {
    Message* const before = std::exchange(list->before, oldest);
    oldest = std::exchange(list, before);
  }
  while (oldest != nullptr) {
    const std::unique_ptr<Message> message(std::exchange(oldest, oldest->before));
    if (function != nullptr)
      deliver(*message);
    else
      print(message->level, message->text);
  }
}

void end_messages() noexcept {
  listening.store(false);
  deliver_messages();
  Py_CLEAR(function);
}

void bind_messages(nb::module_& m) {
  m.def(
      "_log_to",
      [](const nb::object& called, const std::string& level) {
        const LogLevel now = level_of(level);
        deliver_messages();  // to whom they were meant for
        wanted.store(now);
        PyObject* const before = std::exchange(function, nb::object(called).release().ptr());
        listening.store(true);
        Py_XDECREF(before);
      },
      nb::arg("function"), nb::arg("level"));
  m.def("_log_to_standard_error", &end_messages);
}

}  // namespace isofold::python
