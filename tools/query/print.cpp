#include "tools/query/print.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace millrace {
namespace {

/// Digits that a price or volume of 1e-8 units has at most, without the noise behind them.
std::string decimal(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.8f", value);
    std::string out = text;
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') {
        out.pop_back();
    }
    return out;
}

std::string plain(const Cell& cell) {
    if (const auto* n = std::get_if<std::int64_t>(&cell)) {
        return std::to_string(*n);
    }
    if (const auto* d = std::get_if<double>(&cell)) {
        return decimal(*d);
    }
    const auto* text = std::get_if<std::string>(&cell);
    return text == nullptr ? std::string{} : *text;
}

/// Bytes that would move a terminal's cursor are shown, not sent: names come from outside.
std::string shown(std::string text) {
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        c = byte < 0x20 || byte == 0x7F ? '?' : c;
    }
    return text.empty() ? "-" : text;
}

bool is_number(const Cell& cell) {
    return std::holds_alternative<std::int64_t>(cell) || std::holds_alternative<double>(cell);
}

void pad(std::string& line, const std::string& text, std::size_t width, bool right) {
    const std::string fill(width - std::min(width, text.size()), ' ');
    line += right ? fill + text : text + fill;
    line += "  ";
}

std::string table(const History& h) {
    std::vector<std::size_t> width;
    for (const std::string& c : h.columns) {
        width.push_back(c.size());
    }
    for (const auto& row : h.rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            width[i] = std::max(width[i], shown(plain(row[i])).size());
        }
    }
    std::string out;
    const auto end_line = [&out] { out.replace(out.find_last_not_of(' ') + 1, out.npos, "\n"); };
    for (std::size_t i = 0; i < width.size(); ++i) {
        pad(out, h.columns[i], width[i], false);
    }
    end_line();
    for (const auto& row : h.rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            pad(out, shown(plain(row[i])), width[i], is_number(row[i]));
        }
        end_line();
    }
    return out;
}

std::string quoted(const std::string& field) {
    if (field.find_first_of(",\"\r\n") == std::string::npos) {
        return field;
    }
    std::string out = "\"";
    for (const char c : field) {
        out += c == '"' ? "\"\"" : std::string(1, c);
    }
    return out + '"';
}

std::string csv(const History& h) {
    std::string out;
    for (std::size_t i = 0; i < h.columns.size(); ++i) {
        out += (i == 0 ? "" : ",") + quoted(h.columns[i]);
    }
    out += "\r\n";
    for (const auto& row : h.rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += (i == 0 ? "" : ",") + quoted(plain(row[i]));
        }
        out += "\r\n";
    }
    return out;
}

std::string json(const History& h) {
    auto all = nlohmann::ordered_json::array();
    for (const auto& row : h.rows) {
        auto object = nlohmann::ordered_json::object();
        for (std::size_t i = 0; i < row.size(); ++i) {
            auto& value = object[h.columns[i]];
            std::visit(
                [&value](const auto& held) {
                    if constexpr (!std::is_same_v<std::decay_t<decltype(held)>, std::monostate>) {
                        value = held;
                    }
                },
                row[i]);
        }
        all.push_back(std::move(object));
    }
    // A name that is not UTF-8 must not end the program.
    return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string print_history(const History& history, HistoryFormat format) {
    switch (format) {
        case HistoryFormat::Csv: return csv(history);
        case HistoryFormat::Json: return json(history);
        case HistoryFormat::Table: break;
    }
    return table(history);
}

}  // namespace millrace
