#include "tools/millrace/json_doc.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>

namespace millrace {
namespace {

using nlohmann::json;

/// Walks the text and counts lines, so that the SAX callbacks know where they are.
struct Position {
    const char* begin = nullptr;
    const char* at = nullptr;
};

/// An input iterator over the text that tells `position` how far the lexer has read.
class CountingIterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    CountingIterator(const char* p, Position* position) noexcept : p_{p}, position_{position} {}
    reference operator*() const noexcept { return *p_; }
    CountingIterator& operator++() noexcept {
        ++p_;
        position_->at = p_;
        return *this;
    }
    bool operator==(const CountingIterator& o) const noexcept { return p_ == o.p_; }
    bool operator!=(const CountingIterator& o) const noexcept { return p_ != o.p_; }

private:
    const char* p_;
    Position* position_;
};

/// Builds the tree of nodes from nlohmann's events.
class Builder {
public:
    using number_integer_t = json::number_integer_t;
    using number_unsigned_t = json::number_unsigned_t;
    using number_float_t = json::number_float_t;
    using string_t = json::string_t;
    using binary_t = json::binary_t;

    Builder(Position& position, const std::string& file, std::vector<Mistake>& mistakes)
        : position_{position}, file_{file}, mistakes_{mistakes}, counted_to_{position.begin} {}

    bool null() { return scalar(JsonNode::Kind::Null, {}); }
    bool boolean(bool v) {
        scalar(JsonNode::Kind::Boolean, {});
        last_->boolean = v;
        return true;
    }
    bool number_integer(number_integer_t v) { return number(std::to_string(v)); }
    bool number_unsigned(number_unsigned_t v) { return number(std::to_string(v)); }
    bool number_float(number_float_t, const string_t& text) { return number(text); }
    bool string(string_t& v) { return scalar(JsonNode::Kind::String, v); }
    bool binary(binary_t&) { return false; }
    bool start_object(std::size_t) { return open(JsonNode::Kind::Object); }
    bool end_object() { return close(); }
    bool start_array(std::size_t) { return open(JsonNode::Kind::Array); }
    bool end_array() { return close(); }
    bool key(string_t& k) {
        key_ = k;
        key_line_ = line();
        if (stack_.back()->find(k) != nullptr) {
            mistakes_.push_back({file_, key_line_, k, "stands twice in the same object; keep one"});
        }
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const json::exception& e) {
        mistakes_.push_back({file_, line(), {}, reason(e.what())});
        return false;
    }

    JsonNode root;

private:
    // The lexer has looked one character past a number.
    bool number(const std::string& text) {
        looked_ahead_ = true;
        scalar(JsonNode::Kind::Number, text);
        looked_ahead_ = false;
        return true;
    }
    bool scalar(JsonNode::Kind kind, const std::string& text) {
        add(kind);
        last_->text = text;
        return true;
    }
    bool open(JsonNode::Kind kind) {
        add(kind);
        stack_.push_back(last_);
        return true;
    }
    bool close() {
        stack_.pop_back();
        return true;
    }
    // A parent's vector grows only while none of its children is open: pointers in stack_ hold.
    void add(JsonNode::Kind kind) {
        JsonNode node;
        node.kind = kind;
        node.line = line();
        if (stack_.empty()) {
            root = std::move(node);
            last_ = &root;
        } else if (stack_.back()->kind == JsonNode::Kind::Object) {
            stack_.back()->members.push_back({key_, key_line_, std::move(node)});
            last_ = &stack_.back()->members.back().value;
        } else {
            stack_.back()->items.push_back(std::move(node));
            last_ = &stack_.back()->items.back();
        }
    }
    // Counted from where the last call stopped (which may be one character further on): linear.
    [[nodiscard]] unsigned line() {
        const char* end = position_.at - (looked_ahead_ && position_.at != position_.begin ? 1 : 0);
        if (end >= counted_to_) {
            line_ += static_cast<unsigned>(std::count(counted_to_, end, '\n'));
        } else {
            line_ -= static_cast<unsigned>(std::count(end, counted_to_, '\n'));
        }
        counted_to_ = end;
        return line_;
    }
    // nlohmann's text after its own prefix "[json.exception.parse_error.101] parse error at ...: ".
    static std::string reason(std::string_view what) {
        const std::size_t at = what.find("syntax error");
        return "is not JSON: " + std::string{at == std::string_view::npos ? what : what.substr(at)};
    }

    Position& position_;
    const std::string& file_;
    std::vector<Mistake>& mistakes_;
    std::vector<JsonNode*> stack_;
    JsonNode* last_ = nullptr;
    std::string key_;
    unsigned key_line_ = 0;
    const char* counted_to_;
    unsigned line_ = 1;
    bool looked_ahead_ = false;
};

}  // namespace

const JsonNode* JsonNode::find(std::string_view key) const noexcept {
    for (const JsonMember& m : members) {
        if (m.key == key) {
            return &m.value;
        }
    }
    return nullptr;
}

const char* describe(JsonNode::Kind kind) noexcept {
    switch (kind) {
        case JsonNode::Kind::Null: return "null";
        case JsonNode::Kind::Boolean: return "true or false";
        case JsonNode::Kind::Number: return "a number";
        case JsonNode::Kind::String: return "a string";
        case JsonNode::Kind::Array: return "a list";
        case JsonNode::Kind::Object: return "an object";
    }
    return "?";
}

std::string to_string(const Mistake& m) {
    std::string s = m.file;
    if (m.line != 0) {
        s += ":" + std::to_string(m.line);
    }
    s += ": ";
    if (!m.key.empty()) {
        s += m.key + ": ";
    }
    return s + m.text;
}

std::optional<JsonNode> parse_json(std::string_view text, const std::string& file,
                                   std::vector<Mistake>& mistakes) {
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    Position position{begin, begin};
    Builder builder{position, file, mistakes};
    if (!json::sax_parse(CountingIterator{begin, &position}, CountingIterator{end, &position},
                         &builder)) {
        return std::nullopt;
    }
    return std::move(builder.root);
}

std::string to_json(const JsonNode& node) {
    std::string s;
    switch (node.kind) {
        case JsonNode::Kind::Null: return "null";
        case JsonNode::Kind::Boolean: return node.boolean ? "true" : "false";
        case JsonNode::Kind::Number: return node.text;
        case JsonNode::Kind::String: return json(node.text).dump();
        case JsonNode::Kind::Array:
            for (const JsonNode& item : node.items) {
                s += (s.empty() ? "" : ", ") + to_json(item);
            }
            return "[" + s + "]";
        case JsonNode::Kind::Object:
            for (const JsonMember& m : node.members) {
                s += (s.empty() ? "" : ", ") + json(m.key).dump() + ": " + to_json(m.value);
            }
            return "{" + s + "}";
    }
    return s;
}

}  // namespace millrace
