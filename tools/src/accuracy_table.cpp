#include "accuracy_table.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace isofold::tools {
namespace {

std::string ulp_text(double ulp) {
  if (std::isinf(ulp)) return "inf";
  if (ulp >= 1e6) return fmt::format("{:.2e}", ulp);
  return ulp < 99.995 ? fmt::format("{:.2f}", ulp) : fmt::format("{:.0f}", ulp);
}

std::string error_text(const ResultError& error) {
  return fmt::format("{}, {}, {}", ulp_text(error.largest), ulp_text(error.worst_hundredth),
                     ulp_text(error.mean));
}

/// JSON has no infinity.
Json ulp_json(double ulp) { return std::isinf(ulp) ? Json("inf") : Json(ulp); }
Json error_json(const ResultError& error) {
  return {{"largest_ulp", ulp_json(error.largest)},
          {"worst_hundredth_ulp", ulp_json(error.worst_hundredth)},
          {"mean_ulp", ulp_json(error.mean)}};
}

/// "yes", "no" or "-" where there is nothing to compare with.
std::string verdict(const AccuracyResult& result) {
  if (!result.pytorch) return "-";
  return never_worse(result.ours, *result.pytorch) ? "yes" : "no";
}

/// The line of the Markdown table that a result belongs to.
std::string row_title(const AccuracyResult& result) {
  const std::string op = result.output == "y" ? fmt::format("`{}`", result.op)
                                              : fmt::format("`{}` {}", result.op, result.output);
  return fmt::format("{} {} | {}", op, result.n, result.data);
}

template <class Value>
void add_once(std::vector<Value>& values, const Value& value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

}  // namespace

bool passed(const AccuracyResult& result) {
  return !std::isinf(result.ours.largest) && (!result.pytorch || never_worse(result.ours, *result.pytorch));
}

void print_results(const Console& console, const std::vector<AccuracyResult>& results) {
  Table table({"dtype", "output", "rows of", ">largest", ">worst 1 %", ">mean", ">PyTorch: largest",
               ">worst 1 %", ">mean", "never worse"});
  for (const AccuracyResult& result : results) {
    std::vector<std::string> cells = {std::string(name_of(result.dtype)), result.output, result.data};
    const auto add = [&](const std::optional<ResultError>& error) {
      for (double ResultError::*member :
           {&ResultError::largest, &ResultError::worst_hundredth, &ResultError::mean})
        cells.push_back(error ? ulp_text((*error).*member) : "-");
    };
    add(result.ours);
    add(result.pytorch);
    cells.push_back(verdict(result));
    table.row(std::move(cells));
  }
  table.print(console);
}

std::string markdown_table(const std::vector<AccuracyResult>& results) {
  std::vector<std::string> titles;
  std::vector<DType> dtypes;
  for (const AccuracyResult& result : results) {
    add_once(titles, row_title(result));
    add_once(dtypes, result.dtype);
  }
  std::string text = "| operator, N | rows |", rule = "\n|---|---|";
  for (const DType dtype : dtypes) {
    text += fmt::format(" {} | PyTorch |", name_of(dtype));
    rule += "---|---|";
  }
  text += " never worse |" + rule + "---|\n";
  for (const std::string& title : titles) {
    text += fmt::format("| {} |", title);
    std::string all = "-";
    for (const DType dtype : dtypes) {
      const auto found = std::find_if(results.begin(), results.end(), [&](const AccuracyResult& result) {
        return result.dtype == dtype && row_title(result) == title;
      });
      if (found == results.end()) {
        text += " | |";
        continue;
      }
      text += fmt::format(" {} | {} |", error_text(found->ours),
                          found->pytorch ? error_text(*found->pytorch) : "-");
      if (const std::string one = verdict(*found); one == "no" || all == "-") all = one;
    }
    text += fmt::format(" {} |\n", all == "no" ? "**no**" : all);
  }
  return text;
}

Json to_json(const AccuracyResult& result) {
  Json json = {{"op", result.op},         {"n", result.n},       {"dtype", name_of(result.dtype)},
               {"output", result.output}, {"data", result.data}, {"rows", result.rows}};
  json.update(error_json(result.ours));
  json["pytorch"] = result.pytorch ? error_json(*result.pytorch) : Json(nullptr);
  json["pytorch_missing"] = result.missing;
  json["never_worse"] = result.pytorch ? Json(never_worse(result.ours, *result.pytorch)) : Json(nullptr);
  return json;
}

}  // namespace isofold::tools
