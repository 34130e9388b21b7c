// Sheets as tables and as JSON; and from the store.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include <algorithm>

#include "tools/explain/open_now.h"
#include "tools/explain/words.h"
#include "tools/millrace/decimal.h"
#include "tools/query/history.h"

namespace millrace::explain {
namespace {

constexpr const char* kNames[] = {"positions", "orders", "accounts"};
/// Columns that a person is shown; programs get all of them.
constexpr std::size_t kShown[] = {8, 9, 9};

/// Digits that a person wants after the point in this column; nothing: all there are.
std::optional<std::uint32_t> decimals_of(const std::string& column, const DisplayPreferences& d) {
    if (column == "volume" || column == "filled") {
        return d.volume_decimals;
    }
    if (column == "price") {
        return d.price_decimals;
    }
    return column == "equity" || column == "balance" ? d.money_decimals : std::nullopt;
}

/// The decimal `text` rounded to that; what is no decimal stays as it is.
std::string rounded(const std::string& text, std::optional<std::uint32_t> decimals) {
    const auto exact = decimals ? parse_decimal(text) : Result<std::int64_t>{Errc::BadInput};
    if (!exact) {
        return text;
    }
    std::int64_t unit = kScale;
    for (std::uint32_t i = 0; i < *decimals; ++i) {
        unit /= 10;
    }
    const std::int64_t half = exact.value() < 0 ? -unit / 2 : unit / 2;
    const std::int64_t units = (exact.value() + half) / unit;
    const std::int64_t of_one = kScale / unit;
    const std::int64_t magnitude = units < 0 ? -units : units;
    std::string out = (units < 0 ? "-" : "") + std::to_string(magnitude / of_one);
    return *decimals == 0 ? out : out + fmt::format(".{:0{}}", magnitude % of_one, *decimals);
}

std::string plain(const Sheet::Cell& cell) {
    if (const auto* n = std::get_if<std::int64_t>(&cell)) {
        return std::to_string(*n);
    }
    std::string text = std::get<std::string>(cell);
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        c = byte < 0x20 || byte == 0x7F ? '?' : c;
    }
    return text.empty() ? "-" : text;
}

bool is_right(const std::string& column) {
    static constexpr const char* kRight[] = {"volume", "filled",  "price",     "age",
                                             "order",  "orders",  "positions", "in_doubt",
                                             "equity", "balance", "position"};
    return std::find(std::begin(kRight), std::end(kRight), column) != std::end(kRight);
}

std::size_t sum_of(const std::vector<std::size_t>& widths) {
    std::size_t sum = 2 * widths.size();  // the mark, and two blanks between columns
    for (const std::size_t w : widths) {
        sum += w;
    }
    return sum;
}

/// The longest column that may be cut further: names first, then other words, never numbers.
std::size_t longest_to_cut(const std::vector<std::size_t>& widths,
                           const std::vector<std::string>& columns) {
    constexpr std::size_t kLeast = 6;
    const auto longest = [&](bool names) {
        std::size_t found = widths.size();
        for (std::size_t i = 0; i < widths.size(); ++i) {
            const bool name = columns[i] == "account" || columns[i] == "symbol";
            const bool may = (names ? name : !is_right(columns[i])) && widths[i] > kLeast;
            found = may && (found == widths.size() || widths[i] > widths[found]) ? i : found;
        }
        return found;
    };
    const std::size_t name = longest(true);
    return name == widths.size() ? longest(false) : name;
}

void fit(std::vector<std::size_t>& widths, const std::vector<std::string>& columns,
         std::size_t width) {
    while (sum_of(widths) > width) {
        const std::size_t longest = longest_to_cut(widths, columns);
        if (longest == widths.size()) {
            return;
        }
        --widths[longest];
    }
}

std::string cut(const std::string& text, std::size_t width) {
    return text.size() <= width ? text : text.substr(0, width - 1) + "~";
}

void put(std::string& line, const std::string& text, std::size_t width, bool right) {
    const std::string blanks(width - std::min(width, text.size()), ' ');
    line += (line.size() > 1 ? "  " : " ") + (right ? blanks + text : text + blanks);
}

std::string footer(const Sheet& sheet, OpenOf of) {
    const auto doubts = std::count(sheet.doubted.begin(), sheet.doubted.end(), true);
    std::string out = fmt::format(
        "{} {}, as of record {}, {}{}\n", sheet.rows.size(), kNames[static_cast<std::size_t>(of)],
        sheet.seq.value, moment_text(sheet.time), sheet.from == "store" ? ", from the store" : "");
    if (doubts > 0) {
        out += fmt::format("! IN_DOUBT: {}; `millrace explain {}` says why and what ends it\n",
                           doubts, of == OpenOf::Accounts ? "account NAME" : "order NUMBER");
    }
    return out;
}

const std::string* text_in(const History& h, const std::vector<Cell>& row, const char* column) {
    const auto at = std::find(h.columns.begin(), h.columns.end(), column);
    return at == h.columns.end()
               ? nullptr
               : std::get_if<std::string>(&row[static_cast<std::size_t>(at - h.columns.begin())]);
}

Sheet::Cell cell_of(const Cell& cell) {
    if (const auto* n = std::get_if<std::int64_t>(&cell)) {
        return *n;
    }
    if (const auto* d = std::get_if<double>(&cell)) {
        return number(
            static_cast<std::int64_t>(*d * static_cast<double>(kScale) + (*d < 0 ? -0.5 : 0.5)));
    }
    const auto* text = std::get_if<std::string>(&cell);
    return text == nullptr ? std::string{} : *text;
}

}  // namespace

std::string sheet_text(const Sheet& sheet, OpenOf of, std::size_t width,
                       const DisplayPreferences& display) {
    const auto shown_as = [&](const Sheet::Cell& cell, const std::string& column) {
        return rounded(plain(cell), decimals_of(column, display));
    };
    const std::size_t shown =
        sheet.from == "store" ? sheet.columns.size() : kShown[static_cast<std::size_t>(of)];
    const std::vector<std::string> columns{
        sheet.columns.begin(),
        sheet.columns.begin() + static_cast<std::ptrdiff_t>(std::min(shown, sheet.columns.size()))};
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        std::size_t most = columns[i].size();
        for (const auto& row : sheet.rows) {
            most = std::max(most, shown_as(row[i], columns[i]).size());
        }
        widths.push_back(most);
    }
    fit(widths, columns, width);
    std::string out;
    const auto end_line = [&out](std::string line) {
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    };
    std::string head = " ";
    for (std::size_t i = 0; i < columns.size(); ++i) {
        put(head, cut(columns[i], widths[i]), widths[i], is_right(columns[i]));
    }
    end_line(head);
    for (std::size_t n = 0; n < sheet.rows.size(); ++n) {
        std::string line = sheet.doubted[n] ? "!" : " ";
        for (std::size_t i = 0; i < columns.size(); ++i) {
            put(line, cut(shown_as(sheet.rows[n][i], columns[i]), widths[i]), widths[i],
                is_right(columns[i]));
        }
        end_line(line);
    }
    out += footer(sheet, of);
    for (const ToldDifference& d : sheet.differences) {
        out += fmt::format("{} since {}: {}\n", d.foreign ? "foreign" : "DIFFERS",
                           moment_text(d.since), d.text);
    }
    return out;
}

std::string sheet_json(const Sheet& sheet, OpenOf of) {
    using nlohmann::ordered_json;
    ordered_json rows = ordered_json::array();
    for (std::size_t n = 0; n < sheet.rows.size(); ++n) {
        ordered_json row = ordered_json::object();
        for (std::size_t i = 0; i < sheet.columns.size(); ++i) {
            std::visit([&](const auto& held) { row[sheet.columns[i]] = held; }, sheet.rows[n][i]);
        }
        row["doubted"] = static_cast<bool>(sheet.doubted[n]);
        rows.push_back(std::move(row));
    }
    ordered_json j{{"what", kNames[static_cast<std::size_t>(of)]},
                   {"from", sheet.from},
                   {"seq", sheet.seq.value},
                   {"time_ns", sheet.time.value},
                   {"rows", rows}};
    for (const ToldDifference& d : sheet.differences) {
        j["differences"].push_back({{"account_id", d.account.value},
                                    {"foreign", d.foreign},
                                    {"since_ns", d.since.value},
                                    {"text", d.text}});
    }
    return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

bool sheet_of_store(const Where& where, OpenOf of, AccountId account, Sheet& sheet,
                    std::string& message) {
    if (where.store.empty()) {
        message = "no store is known; -c FILE or --store FILE names it";
        return false;
    }
    HistoryQuery query;
    query.of = of == OpenOf::Positions ? HistoryOf::Positions
               : of == OpenOf::Orders  ? HistoryOf::Orders
                                       : HistoryOf::Accounts;
    query.account = account.value == kNoId ? "" : std::to_string(account.value);
    query.open_only = of != OpenOf::Accounts;
    query.limit = 1'000'000;
    const auto history = ask_history(where.store, query, message);
    if (!history) {
        return false;
    }
    sheet = {};
    sheet.columns = history->columns;
    for (const auto& row : history->rows) {
        std::vector<Sheet::Cell> cells;
        for (const Cell& c : row) {
            cells.push_back(cell_of(c));
        }
        sheet.rows.push_back(std::move(cells));
        const std::string* status = text_in(*history, row, "status");
        sheet.doubted.push_back(status != nullptr && *status == to_string(OrdStatus::InDoubt));
    }
    sheet.seq = Sequence{history->stored_seq};
    sheet.from = "store";
    return true;
}

}  // namespace millrace::explain
