#include "template_text.hpp"

#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <mutex>

namespace isofold {

const std::vector<std::pair<std::string_view, std::string_view>>& embedded_templates();

namespace {

std::mutex folder_mutex;
std::string folder;  // of live templates; guarded by folder_mutex

[[noreturn]] void fail(const std::string& live_folder, const std::string& what) {
  if (live_folder.empty()) throw InternalError(what);
  throw UsageError(fmt::format("templates in {}: {}", live_folder, what));
}

std::string read_template(std::string_view name, const std::string& live_folder) {
  const std::string file = fmt::format("{}.cu.in", name);
  if (!live_folder.empty()) {
    std::ifstream in(live_folder + "/" + file, std::ios::binary);
    if (!in) fail(live_folder, file + " cannot be read");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  for (const auto& [known, text] : embedded_templates())
    if (known == file) return std::string(text);
  fail(live_folder, file + " does not exist");
}

}  // namespace

void use_template_folder(const std::string& path) {
  const std::lock_guard lock(folder_mutex);
  folder = path;
}

std::string indent(std::string_view text, int spaces) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (!line.empty() && line[0] != '#') out.append(static_cast<std::size_t>(spaces), ' ');
    out.append(line);
    out += '\n';
    at = end + 1;
  }
  return out;
}

std::string fill_template(std::string_view name, const Markers& markers) {
  std::string live_folder;
  {
    const std::lock_guard lock(folder_mutex);
    live_folder = folder;
  }
  const std::string source = read_template(name, live_folder);
  std::vector<bool> used(markers.size(), false);
  std::string out;
  std::size_t at = 0;
  while (at < source.size()) {
    const std::size_t end = std::min(source.find('\n', at), source.size());
    std::string line = source.substr(at, end - at);
    at = end + 1;
    bool whole = false;
    for (std::size_t open = line.find('@'); open != std::string::npos; open = line.find('@', open)) {
      const std::size_t close = line.find('@', open + 1);
      if (close == std::string::npos) fail(live_folder, fmt::format("{}: unpaired @", name));
      const std::string_view marker = std::string_view(line).substr(open + 1, close - open - 1);
      std::size_t found = 0;
      while (found < markers.size() && markers[found].first != marker) ++found;
      if (found == markers.size()) fail(live_folder, fmt::format("{}: unknown marker @{}@", name, marker));
      used[found] = true;
      const std::string& value = markers[found].second;
      if (line.find_first_not_of(' ') == open && close + 1 == line.size()) {
        out += indent(value, static_cast<int>(open));
        whole = true;
        break;
      }
      line.replace(open, close - open + 1, value);
      open += value.size();
    }
    if (!whole) out += line + '\n';
  }
  for (std::size_t i = 0; i < markers.size(); ++i)
    if (!used[i]) fail(live_folder, fmt::format("{}: marker @{}@ is not used", name, markers[i].first));
  return out;
}

}  // namespace isofold
