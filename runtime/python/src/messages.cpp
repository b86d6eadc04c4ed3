#include "messages.hpp"

#include <nanobind/stl/string.h>
#include <isofold/error.hpp>

#include <fmt/format.h>
#include <unistd.h>

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
// Guarded by the interpreter's lock, like every Python object.
PyObject* function = nullptr;
bool ended = false;

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

/// Messages that were kept, the oldest first.
Message* take_kept() {
  Message* list = newest.exchange(nullptr);
  Message* oldest = nullptr;
  while (list != nullptr) {
    Message* const before = std::exchange(list->before, oldest);
    oldest = std::exchange(list, before);
  }
  return oldest;
}

void print_kept() {
  for (Message* oldest = take_kept(); oldest != nullptr;) {
    const std::unique_ptr<Message> message(std::exchange(oldest, oldest->before));
    print(message->level, message->text);
  }
}

void receive(LogLevel level, std::string_view text) {
  if (!listening.load()) return print(level, text);
  if (level > wanted.load()) return;
  keep(level, text);
  if (!listening.load()) return print_kept();  // since just now: nobody else may look any more
  // For a thread that never is in Python. Where too much is pending already, the next call delivers.
  static_cast<void>(Py_AddPendingCall([](void*) { return deliver_messages(), 0; }, nullptr));
}

/// The function may wait for as long as it likes: no interpreter waits for it that ends. Before 3.14 CPython ends a thread that
/// wants the interpreter's lock then, and unwinds its frames as an exception does. Here it stays, before the first frame of C++
/// that has something to destroy.
void call(PyObject* called, PyObject* level, PyObject* text) {
  try {
    PyObject* const result = level == nullptr || text == nullptr ? nullptr : PyObject_CallFunctionObjArgs(called, level, text, nullptr);
    if (result == nullptr) PyErr_WriteUnraisable(called);
    Py_XDECREF(result);
  } catch (...) {
    for (;;) pause();
  }
}

void deliver(const Message& message) {
  const nb::object called = nb::borrow(function);
  const nb::object level = nb::steal(PyUnicode_FromString(name_of(message.level).data()));
  const nb::object text = nb::steal(PyUnicode_DecodeUTF8(message.text.data(), static_cast<Py_ssize_t>(message.text.size()), "replace"));
  call(called.ptr(), level.ptr(), text.ptr());
}

/// Gives the function up.
void stop_listening() {
  deliver_messages();  // to whom they were meant for
  listening.store(false);
  PyObject* const before = std::exchange(function, nullptr);
  print_kept();
  Py_XDECREF(before);
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
  for (Message* oldest = take_kept(); oldest != nullptr;) {
    const std::unique_ptr<Message> message(std::exchange(oldest, oldest->before));
    if (function != nullptr)
      deliver(*message);
    else
      print(message->level, message->text);
  }
}

void end_messages() noexcept {
  ended = true;
  stop_listening();
}

void bind_messages(nb::module_& m) {
  m.def(
      "_log_to",
      [](const nb::object& called, const std::string& level) {
        const LogLevel now = level_of(level);
        deliver_messages();  // to whom they were meant for
        if (ended) return;
        wanted.store(now);
        PyObject* const before = std::exchange(function, nb::object(called).release().ptr());
        listening.store(true);
        Py_XDECREF(before);
      },
      nb::arg("function"), nb::arg("level"));
  m.def("_log_to_standard_error", &stop_listening);
}

}  // namespace isofold::python
