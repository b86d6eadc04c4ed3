#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <isofold/error.hpp>
#include <nlohmann/json.hpp>
#include <system_error>

#include "callable.hpp"
#include "files.hpp"
#include "programs.hpp"
#include "python_scripts.hpp"

extern char** environ;

namespace isofold::tools {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw UsageError("no pipe to another process can be made");
    read = FileDescriptor(ends[0]);
    write = FileDescriptor(ends[1]);
  }
  FileDescriptor read, write;
};

/// The process that runs callable.py.
class Server {
 public:
  Server(const std::vector<std::string>& command) : errors_("") {
    Pipe requests, answers;
    // A process that went away is an error to report, not a signal.
    signal(SIGPIPE, SIG_IGN);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, requests.read.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, answers.write.get(), STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors_.path().c_str(), O_WRONLY | O_APPEND, 0);
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    const int failure = posix_spawnp(&child_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) throw UsageError(command[0] + " cannot be started");
    requests_ = std::move(requests.write);
    answers_ = std::move(answers.read);
  }
  Server(const Server&) = delete;
  ~Server() {
    requests_ = {};  // the end of the requests ends it
    while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  void send(const void* data, std::size_t bytes) {
    const char* next = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t sent = ::write(requests_.get(), next, bytes);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) gone();
      next += sent;
      bytes -= static_cast<std::size_t>(sent);
    }
  }
  void receive(void* data, std::size_t bytes) {
    char* next = static_cast<char*>(data);
    while (bytes > 0) {
      const ssize_t got = ::read(answers_.get(), next, bytes);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) gone();
      next += got;
      bytes -= static_cast<std::size_t>(got);
    }
  }
  std::int64_t receive_number() {
    std::int64_t number = 0;
    receive(&number, sizeof(number));
    return number;
  }
  std::string receive_line() {
    std::string line;
    for (char c = 0; c != '\n'; line += c) receive(&c, 1);
    return line;
  }

 private:
  [[noreturn]] void gone() const {
    std::string words = errors_.read();
    while (words.ends_with('\n')) words.pop_back();
    throw UsageError("the Python process ended: " + words.substr(words.rfind('\n') + 1));
  }

  TemporaryFile errors_;
  pid_t child_ = 0;
  FileDescriptor requests_, answers_;
};

class PythonCallable final : public Callable {
 public:
  PythonCallable(std::string function, const std::string& arrays, const std::string& device, DType dtype)
      : function_(std::move(function)), dtype_(dtype) {
    const auto python = find_program("python3");
    if (!python) throw UsageError("--python: there is no python3 on PATH");
    write_scripts(folder_.path());
    std::vector<std::string> command = {*python,   folder_.path() + "/callable.py", "--function", function_,
                                        "--dtype", std::string(name_of(dtype)),    "--device",   device};
    if (!arrays.empty()) command.insert(command.end(), {"--arrays", arrays});
    server_ = std::make_unique<Server>(command);
    const Json loaded = Json::parse(server_->receive_line(), nullptr, false);
    if (!loaded.is_object()) throw UsageError("--python: the process said nothing that can be read");
    if (loaded.contains("error"))
      throw UsageError(fmt::format("--python {}: {}", function_, loaded.at("error").get<std::string>()));
    arrays_ = loaded.at("arrays").get<std::string>() + (device == "cuda" ? " on the GPU" : "");
  }

  std::vector<double> call(std::span<const float> rows, std::int64_t tokens, std::int64_t n) override {
    server_->send(&tokens, sizeof(tokens));
    server_->send(&n, sizeof(n));
    server_->send(rows.data(), rows.size_bytes());
    const std::int64_t each = server_->receive_number();
    if (each < 0) {
      std::string error(static_cast<std::size_t>(server_->receive_number()), ' ');
      server_->receive(error.data(), error.size());
      throw UsageError(fmt::format("{} over {} rows of {}: {}", function_, tokens, n, error));
    }
    std::vector<double> results(static_cast<std::size_t>(tokens * each));
    server_->receive(results.data(), results.size() * sizeof(double));
    return results;
  }
  DType dtype() const override { return dtype_; }
  std::string name() const override { return fmt::format("{} ({})", function_, arrays_); }

 private:
  std::string function_, arrays_;
  DType dtype_;
  TemporaryFolder folder_;
  std::unique_ptr<Server> server_;
};

}  // namespace

std::unique_ptr<Callable> python_callable(const std::string& function, const std::string& arrays, const std::string& device,
                                          DType dtype) {
  if (dtype != DType::f32 && dtype != DType::f64 && dtype != DType::bf16 && dtype != DType::f16)
    throw UsageError(fmt::format("--dtype {}: allowed for Python functions are f32, f64, bf16 and f16", name_of(dtype)));
  if (function.rfind(':') == function.npos || function.ends_with(':'))
    throw UsageError(fmt::format("--python is \"{}\"; needed is file.py:function, module:function or \"lambda x: ...\"", function));
  return std::make_unique<PythonCallable>(function, arrays, device, dtype);
}

}  // namespace isofold::tools
