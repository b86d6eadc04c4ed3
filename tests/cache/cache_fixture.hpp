#pragma once
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <isofold/codegen/digest.hpp>
#include <iterator>
#include <string>
#include <vector>

#include "disk_cache.hpp"
#include "support/temporary_folder.hpp"

namespace isofold::testing {

/// A log that keeps its warnings.
struct KeptLog {
  std::vector<std::string> lines;
  Log log{LogLevel::warning, [this](LogLevel, std::string_view line) { lines.emplace_back(line); }};

  std::string all() const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }
};

/// An entry whose every byte follows from `key`.
inline CacheEntry entry_of(const std::string& key, std::size_t bytes = 200) {
  std::string content;
  while (content.size() < bytes) content += digest(key + std::to_string(content.size()));
  content.resize(bytes);
  return {.key_text = key,
          .kind = "cuda",
          .metadata = "entry of " + key,
          .sections = {{"source", "// " + key}, {"cubin", content}, {"empty", ""}}};
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string entry_path(const std::string& folder, const std::string& key) {
  return folder + "/entries/" + digest(key) + ".v" + std::to_string(cache_schema);
}

/// Runs `body` in a child process that ends with its result; an exception ends it with 99.
template <class Body>
pid_t start_child(Body body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  int code = 99;
  try {
    code = body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
  }
  _exit(code);
}

/// Exit code of a child, or minus the signal that ended it.
inline int wait_for(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) return -1000;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

template <class Body>
int in_child(Body body) {
  return wait_for(start_child(body));
}

/// Gives `path` to an ordinary user and becomes that user, when this is root, whom no permission stops.
inline bool become_ordinary(const std::string& path) {
  if (geteuid() != 0) return true;
  for (const auto& item : std::filesystem::recursive_directory_iterator(path))
    if (lchown(item.path().c_str(), 65534, 65534) != 0) return false;
  return chown(path.c_str(), 65534, 65534) == 0 && setgid(65534) == 0 && setuid(65534) == 0;
}

}  // namespace isofold::testing
