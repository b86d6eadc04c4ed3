#include "python_calls.hpp"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "messages.hpp"

namespace isofold::python {
namespace {

std::atomic<int> calls{0};  // inside C++ without the lock
std::atomic<bool> closing{false};
std::atomic<std::thread::id> closer;
std::atomic<int> generation{0};

/// A thread that the interpreter does not wait for must neither take its lock again when it ends nor use what the end destroys.
void stay_if_closing() {
  if (!closing.load() || closer.load() == std::this_thread::get_id()) return;
  calls.fetch_sub(1);
  for (;;) pause();
}

}  // namespace

WithoutGil::WithoutGil() {
  // Counted before it is asked whether the interpreter ends: whoever ends it sees the call, or the call sees that.
  calls.fetch_add(1);
  state_ = PyEval_SaveThread();
  stay_if_closing();
}

WithoutGil::~WithoutGil() {
  stay_if_closing();
  PyEval_RestoreThread(state_);
  calls.fetch_sub(1);
  deliver_messages();  // not counted: a function that waits does not keep the interpreter from ending
}

void finish_calls() {
  closer.store(std::this_thread::get_id());
  closing.store(true);
  PyThreadState* const state = PyEval_SaveThread();
  while (calls.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  PyEval_RestoreThread(state);
  end_messages();
}

int process_generation() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Threads of the parent, and the calls they were in, are not here.
    pthread_atfork(nullptr, nullptr, [] {
      generation.fetch_add(1);
      calls.store(0);
    });
  });
  return generation.load(std::memory_order_relaxed);
}

}  // namespace isofold::python
