#include "bundle.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <isofold/codegen/digest.hpp>
#include <isofold/error.hpp>
#include <isofold/tuning_table.hpp>
#include <nlohmann/json.hpp>
#include <system_error>

namespace isofold {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view magic = "isofold bundle\n";
constexpr std::size_t header_bytes = magic.size() + sizeof(std::uint32_t) + sizeof(std::uint64_t);
constexpr std::size_t checksum_bytes = 32;

template <class Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (std::size_t byte = 0; byte < sizeof(Number); ++byte)
    bytes.push_back(static_cast<char>((number >> (8 * byte)) & 0xff));
  return bytes;
}

template <class Number>
Number number_from(std::string_view bytes) {
  Number value = 0;
  for (std::size_t byte = 0; byte < sizeof(Number); ++byte)
    value |= static_cast<Number>(static_cast<unsigned char>(bytes[byte])) << (8 * byte);
  return value;
}

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw UsageError(fmt::format("bundle {}: {}", path, what));
}

std::string last_error() { return std::error_code(errno, std::generic_category()).message(); }

/// `bytes` bytes from `offset`; fewer when the file ends before.
std::string read_part(const FileDescriptor& file, std::uint64_t offset, std::uint64_t bytes, const std::string& path) {
  std::string part(bytes, '\0');
  std::size_t have = 0;
  while (have < part.size()) {
    const ssize_t got = pread(file.get(), part.data() + have, part.size() - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(path, "cannot be read: " + last_error());
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  part.resize(have);
  return part;
}

Json to_json(const BundleChoice& choice) {
  Json ranges = Json::array();
  for (const LaunchRange& range : choice.ranges) {
    Json& item = ranges.emplace_back(Json{{"first_tokens", range.first_tokens},
                                          {"schedule", text(range.schedule)},
                                          {"origin", range.origin},
                                          {"tuned", range.tuned}});
    if (range.with_workspace) item["with_workspace"] = text(*range.with_workspace);
  }
  return {{"spec", choice.spec}, {"fold", choice.fold}, {"device", choice.device}, {"ranges", ranges}};
}

BundleChoice choice_from(const Json& json, const std::string& path) {
  BundleChoice choice{json.at("spec").get<std::string>(), json.at("fold").get<std::string>(),
                      json.at("device").get<std::string>(), {}};
  for (const Json& item : json.at("ranges")) {
    const auto first = item.at("first_tokens").get<std::int64_t>();
    const std::int64_t least = choice.ranges.empty() ? 1 : choice.ranges.back().first_tokens + 1;
    if (first < least || (choice.ranges.empty() && first != 1)) refuse(path, "ranges do not ascend from 1");
    choice.ranges.push_back({.first_tokens = first,
                             .schedule = parse_schedule(item.at("schedule").get<std::string>()),
                             .origin = fmt::format("bundle {} ({})", path, item.at("origin").get<std::string>()),
                             .tuned = item.at("tuned").get<bool>()});
    LaunchRange& range = choice.ranges.back();
    if (item.contains("with_workspace")) range.with_workspace = parse_schedule(item.at("with_workspace").get<std::string>());
    if (needs_workspace(range.schedule) || (range.with_workspace && !needs_workspace(*range.with_workspace)))
      refuse(path, "a schedule needs a workspace where it must not, or the other way round");
  }
  if (choice.ranges.empty()) refuse(path, "a choice has no ranges");
  return choice;
}

/// Does code for one of them run on the other?
bool same_architecture(const DeviceTraits& a, const DeviceTraits& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == DeviceTraits::Kind::cuda) return a.arch == b.arch;
  return a.vector_width == b.vector_width && a.triple == b.triple && a.features == b.features;
}

}  // namespace

std::string bundle_key(const Plan& plan, std::string_view source) {
  // CUDA is worth reading and short; LLVM IR is neither.
  if (plan.is_gpu())
    return fmt::format("isofold bundle, schema {}, sm_{}\n{}\n{}", bundle_schema, plan.device().arch, text(plan), source);
  return fmt::format("isofold bundle, schema {}, {} {}\n{}\nLLVM IR {}", bundle_schema, plan.device().triple,
                     plan.device().features, text(plan), digest(source));
}

void write_bundle(const std::string& path, const BundleContent& content) {
  std::map<std::string, std::string> entries;  // in the order of their digests: equal contents give equal bytes
  for (const CacheEntry& entry : content.entries) entries[digest(entry.key_text)] = encode(entry);
  Json index = {{"made_by", content.made_by}, {"choices", Json::array()}, {"entries", Json::array()}};
  for (const BundleChoice& choice : content.choices) index["choices"].push_back(to_json(choice));
  std::string data;
  for (const auto& [name, bytes] : entries) {
    index["entries"].push_back(Json::array({name, data.size(), bytes.size()}));
    data += bytes;
  }
  const std::string index_text = index.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string file(magic);
  file += little_endian(bundle_schema);
  file += little_endian(static_cast<std::uint64_t>(index_text.size()));
  file += index_text;
  file += digest(file);
  write_file_atomically(path, file + data, "bundle");
}

Bundle::Bundle(const std::string& path) : path_(path), file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (!file_) refuse(path, "cannot be opened: " + last_error());
  struct stat status = {};
  if (fstat(file_.get(), &status) != 0) refuse(path, "cannot be read: " + last_error());
  if (!S_ISREG(status.st_mode)) refuse(path, "it is not a file");
  if ((status.st_mode & S_IWOTH) != 0) refuse(path, "everybody may write to it, and a bundle is code (chmod o-w)");
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  const std::string header = read_part(file_, 0, header_bytes, path);
  if (header.size() < header_bytes || !header.starts_with(magic)) refuse(path, "not a bundle");
  const auto schema = number_from<std::uint32_t>(std::string_view(header).substr(magic.size()));
  if (schema != bundle_schema)
    refuse(path, fmt::format("is of schema {}, this version reads {}: build it again", schema, bundle_schema));
  const auto index_bytes = number_from<std::uint64_t>(std::string_view(header).substr(magic.size() + 4));
  if (index_bytes > file_bytes_) refuse(path, "is cut short");
  const std::string rest = read_part(file_, header_bytes, index_bytes + checksum_bytes, path);
  if (rest.size() != index_bytes + checksum_bytes) refuse(path, "is cut short");
  const std::string_view index_text = std::string_view(rest).substr(0, index_bytes);
  if (digest(header + std::string(index_text)) != std::string_view(rest).substr(index_bytes))
    refuse(path, "is damaged: the checksum of its index differs");
  entries_begin_ = header_bytes + rest.size();
  try {
    const Json index = Json::parse(index_text);
    made_by_ = index.at("made_by").get<std::string>();
    for (const Json& item : index.at("choices")) choices_.push_back(choice_from(item, path));
    for (const Json& item : index.at("entries"))
      places_[item.at(0).get<std::string>()] = {item.at(1).get<std::uint64_t>(), item.at(2).get<std::uint64_t>()};
  } catch (const Json::exception&) {
    refuse(path, "its index is not one");
  }
}

CacheEntry Bundle::read(const std::string& name, const Place& place) const {
  if (place.bytes > file_bytes_ || place.offset > file_bytes_) refuse(path_, "is cut short");
  const auto entry = decode(read_part(file_, entries_begin_ + place.offset, place.bytes, path_));
  if (const auto* problem = std::get_if<std::string>(&entry))
    refuse(path_, fmt::format("the entry {} is damaged: {}; copy or build the bundle again", name, *problem));
  return std::get<CacheEntry>(entry);
}

std::optional<CacheEntry> Bundle::find(const std::string& key_text) const {
  const std::string name = digest(key_text);
  const auto place = places_.find(name);
  if (place == places_.end()) return std::nullopt;
  CacheEntry entry = read(name, place->second);
  if (entry.key_text != key_text) return std::nullopt;
  return entry;
}

std::vector<CacheEntry> Bundle::read_all() const {
  std::vector<CacheEntry> entries;
  for (const auto& [name, place] : places_) entries.push_back(read(name, place));
  return entries;
}

Bundles::Bundles(const std::vector<std::string>& paths, bool required) : required_(required) {
  for (const std::string& path : paths) bundles_.emplace_back(path);
}

std::optional<CacheEntry> Bundles::find(const std::string& key_text) const {
  for (auto bundle = bundles_.rbegin(); bundle != bundles_.rend(); ++bundle)
    if (auto entry = bundle->find(key_text)) return entry;
  return std::nullopt;
}

const BundleChoice* Bundles::choice(const Spec& spec, const Fold& fold, const DeviceTraits& device) const {
  if (bundles_.empty()) return nullptr;
  const std::string spec_text = text(spec), fold_text = text(fold);
  const BundleChoice* like = nullptr;
  for (auto bundle = bundles_.rbegin(); bundle != bundles_.rend(); ++bundle)
    for (const BundleChoice& choice : bundle->choices()) {
      if (choice.spec != spec_text || choice.fold != fold_text) continue;
      const DeviceTraits of = parse_device_traits(choice.device);
      if (same_device(of, device)) return &choice;
      if (like == nullptr && same_architecture(of, device)) like = &choice;
    }
  return like;
}

std::string Bundles::names() const {
  std::string names;
  for (const Bundle& bundle : bundles_) names += (names.empty() ? "" : ", ") + bundle.path();
  return names.empty() ? "no bundle is loaded" : names;
}

}  // namespace isofold
