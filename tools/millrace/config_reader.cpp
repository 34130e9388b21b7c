#include "tools/millrace/config_reader.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "tools/millrace/decimal.h"

namespace millrace {
namespace {

std::string join(const std::vector<std::string>& words) {
    std::string s;
    for (const std::string& w : words) {
        s += (s.empty() ? "" : ", ") + w;
    }
    return s;
}

/// Letters to change, insert or remove to make `b` of `a`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
        }
    }
    return row.back();
}

bool is_name_char(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '#' || c == '+';
}

/// "accounts[3].name" -> "accounts[].name".
std::string without_indexes(const std::string& path) {
    std::string s;
    bool inside = false;
    for (const char c : path) {
        inside = c == '[' || (inside && c != ']');
        if (!inside || c == '[') {
            s += c;
        }
    }
    return s;
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& c : candidates) {
        if (const std::size_t d = edit_distance(word, c); d < best_distance) {
            best = c;
            best_distance = d;
        }
    }
    return best;
}

ObjectReader::ObjectReader(const JsonNode& node, std::string path, ReadLog& log)
    : node_{node}, path_{std::move(path)}, log_{log} {}

std::string ObjectReader::path_of(std::string_view key) const {
    return path_.empty() ? std::string{key} : path_ + "." + std::string{key};
}

void ObjectReader::complain(std::string_view key, std::string text) {
    unsigned line = node_.line;
    for (const JsonMember& m : node_.members) {
        line = m.key == key ? m.line : line;
    }
    log_.mistakes.push_back({log_.file, line, key.empty() ? path_ : path_of(key), std::move(text)});
}

const JsonNode* ObjectReader::take(std::string_view key, JsonNode::Kind kind) {
    asked_.emplace_back(key);
    log_.known_keys.insert(without_indexes(path_of(key)));
    const JsonNode* node = node_.find(key);
    if (node != nullptr && node->kind != kind) {
        complain(key, std::string{"must be "} + describe(kind) + ", not " + describe(node->kind));
        return nullptr;
    }
    return node;
}

void ObjectReader::integer(std::string_view key, std::int64_t& out, IntRange range) {
    const JsonNode* node = take(key, JsonNode::Kind::Number);
    if (node == nullptr) {
        return;
    }
    std::int64_t value = 0;
    const char* end = node->text.data() + node->text.size();
    const auto [stop, error] = std::from_chars(node->text.data(), end, value);
    if (error != std::errc{} || stop != end || value < range.min || value > range.max) {
        complain(key, "is " + node->text + "; a whole number from " + std::to_string(range.min) +
                          " to " + std::to_string(range.max) + " is allowed");
        return;
    }
    out = value;
}

void ObjectReader::integer(std::string_view key, std::uint32_t& out, IntRange range) {
    std::int64_t value = out;
    integer(key, value, range);
    out = static_cast<std::uint32_t>(value);
}

void ObjectReader::decimal(std::string_view key, std::int64_t& out, DecimalRange range) {
    const JsonNode* node = take(key, JsonNode::Kind::Number);
    if (node == nullptr) {
        return;
    }
    const auto value = parse_decimal(node->text);
    if (!value) {
        complain(key, node->text + " " + value.error().what);
        return;
    }
    if (value.value() < range.min || value.value() > range.max) {
        complain(key, "is " + node->text + "; " + format_decimal(range.min) + " to " +
                          format_decimal(range.max) + " is allowed");
        return;
    }
    out = value.value();
}

void ObjectReader::boolean(std::string_view key, bool& out) {
    if (const JsonNode* node = take(key, JsonNode::Kind::Boolean)) {
        out = node->boolean;
    }
}

void ObjectReader::text(std::string_view key, std::string& out, TextRange range) {
    const JsonNode* node = take(key, JsonNode::Kind::String);
    if (node == nullptr) {
        return;
    }
    if (node->text.size() < range.min || node->text.size() > range.max) {
        complain(key, "\"" + node->text + "\" has " + std::to_string(node->text.size()) +
                          " bytes; " + std::to_string(range.min) + " to " +
                          std::to_string(range.max) + " are allowed");
        return;
    }
    out = node->text;
}

void ObjectReader::name(std::string_view key, std::string& out) {
    std::string value;
    text(key, value, {1, 16});
    if (!std::all_of(value.begin(), value.end(), is_name_char)) {
        complain(key, "\"" + value + "\" may hold letters, digits and _ - . # + only");
        return;
    }
    if (!value.empty()) {
        out = value;
    }
}

void ObjectReader::texts(std::string_view key, std::vector<std::string>& out) {
    const JsonNode* node = take(key, JsonNode::Kind::Array);
    if (node == nullptr) {
        return;
    }
    for (const JsonNode& item : node->items) {
        if (item.kind != JsonNode::Kind::String) {
            complain(key,
                     std::string{"must be a list of strings; one item is "} + describe(item.kind));
            return;
        }
        out.push_back(item.text);
    }
}

void ObjectReader::unknown_word(std::string_view key, const JsonNode& node,
                                const std::vector<std::string>& allowed) {
    const std::string near = nearest(node.text, allowed);
    complain(key, "is \"" + node.text + "\"; allowed: " + join(allowed) +
                      (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
}

void ObjectReader::object(std::string_view key, const std::function<void(ObjectReader&)>& read) {
    JsonNode nothing;
    nothing.kind = JsonNode::Kind::Object;
    nothing.line = node_.line;
    const JsonNode* node = take(key, JsonNode::Kind::Object);
    // An absent object is read too: its required keys are then missed by name.
    ObjectReader reader{node == nullptr ? nothing : *node, path_of(key), log_};
    read(reader);
    reader.done();
}

void ObjectReader::list(std::string_view key, const std::function<void(ObjectReader&)>& read) {
    const JsonNode* node = take(key, JsonNode::Kind::Array);
    if (node == nullptr) {
        return;
    }
    for (std::size_t i = 0; i < node->items.size(); ++i) {
        const JsonNode& item = node->items[i];
        ObjectReader reader{item, path_of(key) + "[" + std::to_string(i) + "]", log_};
        if (item.kind != JsonNode::Kind::Object) {
            reader.complain("", std::string{"must be an object, not "} + describe(item.kind));
            continue;
        }
        read(reader);
        reader.done();
    }
}

void ObjectReader::require(std::string_view key) {
    if (!has(key)) {
        complain("", "\"" + std::string{key} + "\" is missing");
    }
}

void ObjectReader::done() {
    for (const JsonMember& m : node_.members) {
        if (std::find(asked_.begin(), asked_.end(), m.key) != asked_.end()) {
            continue;
        }
        const std::string near = nearest(m.key, asked_);
        complain(m.key, "is no known key" + (near.empty() ? "; allowed: " + join(asked_)
                                                          : "; did you mean \"" + near + "\"?"));
    }
}

}  // namespace millrace
