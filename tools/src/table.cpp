#include <isofold/error.hpp>
#include <isofold/tuning_table.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "output_file.hpp"

namespace isofold::tools {
namespace {

/// The records of a file or folder; anything in it that is none is refused.
std::vector<TableRecord> records_of(const std::string& path) {
  TuningTable table;
  table.read(path);
  if (!table.warnings().empty()) throw UsageError(table.warnings().front());
  return table.records();
}

int list(const Console& console, const TableArguments& options) {
  Table table({"operator", "fold", "device", ">ranges", "tokens", "measured with"});
  Json records = Json::array();
  for (const std::string& file : options.files)
    for (const TableRecord& record : records_of(file)) {
      const TableRange& last = record.ranges.back();
      const std::int64_t most = std::max(last.measured_tokens, last.last_measured_tokens);
      table.row({title_of(parse_spec(record.spec)), record.fold, parse_device_traits(record.device).name,
                 std::to_string(record.ranges.size()),
                 fmt::format("{} to {}", record.ranges.front().measured_tokens, most), record.environment});
      records.push_back({{"origin", record.origin},
                         {"spec", record.spec},
                         {"fold", record.fold},
                         {"device", record.device},
                         {"environment", record.environment},
                         {"ranges", record.ranges.size()}});
    }
  table.print(console);
  console.line("{}", counted(static_cast<std::int64_t>(records.size()), "record"));
  console.document({{"records", records}});
  return exit_ok;
}

int merge_tables(const Console& console, const TableArguments& options) {
  // Everything is read before anything is written: the output may be one of the files.
  std::vector<TableRecord> all;
  std::size_t read = 0, replaced = 0;
  for (const std::string& file : options.files)
    for (TableRecord& record : records_of(file)) {
      ++read;
      const auto same = std::find_if(all.begin(), all.end(), [&](const TableRecord& earlier) {
        return earlier.spec == record.spec && earlier.fold == record.fold && earlier.device == record.device;
      });
      if (same == all.end()) {
        all.push_back(std::move(record));
        continue;
      }
      ++replaced;
      *same = merge(*same, record).value_or(record);
    }
  check_output_file(console, options.output);
  TuningTable table;
  const std::size_t written = all.size();
  for (TableRecord& record : all) table.add(std::move(record));
  table.write(options.output);
  console.line("{}: {} of {}{}", options.output, counted(static_cast<std::int64_t>(written), "record"),
               counted(static_cast<std::int64_t>(options.files.size()), "file"),
               replaced == 0 ? ""
                             : fmt::format("; {} of {} met an earlier one of the same operator, fold and device",
                                           replaced, counted(static_cast<std::int64_t>(read), "record")));
  console.document({{"table", options.output}, {"records", written}, {"read", read}, {"merged", replaced}});
  return exit_ok;
}

}  // namespace

int run_table(const Console& console, const TableArguments& options) {
  return options.action == TableArguments::Action::list ? list(console, options) : merge_tables(console, options);
}

}  // namespace isofold::tools
