// How a history is written out: for people, for spreadsheets, for programs.
#pragma once

#include "tools/query/history.h"

#include <string>

namespace millrace {

enum class HistoryFormat : std::uint8_t { Table, Csv, Json };

/// The whole text, ending with a newline. Table: aligned columns. Csv: RFC 4180 with a header line;
/// NULL is an empty field. Json: an array of objects; numbers are numbers, NULL is null.
[[nodiscard]] std::string print_history(const History& history, HistoryFormat format);

}  // namespace millrace
