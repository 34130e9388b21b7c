// JsonNode: a JSON document that remembers where each value stands, so that a mistake in a
// configuration can be answered with file, line and key.
//
// Numbers keep their text: prices and volumes are read exactly from it, never through a double.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

struct JsonMember;

struct JsonNode {
    enum class Kind { Null, Boolean, Number, String, Array, Object };

    Kind kind = Kind::Null;
    bool boolean = false;
    std::string text;                 // String: its value; Number: as it was written
    std::vector<JsonNode> items;      // Array
    std::vector<JsonMember> members;  // Object, in the order of the file
    unsigned line = 0;                // 1-based; of the value (Object, Array: of its opening)

    /// The member called `key`, nullptr if there is none (or this is no object).
    [[nodiscard]] const JsonNode* find(std::string_view key) const noexcept;
};

struct JsonMember {
    std::string key;
    unsigned line = 0;  // of the key
    JsonNode value;
};

/// "a string", "an object" ... for messages.
[[nodiscard]] const char* describe(JsonNode::Kind kind) noexcept;

/// One thing wrong with a configuration: where, what, and how to mend it.
struct Mistake {
    std::string file;
    unsigned line = 0;  // 0 = the file as a whole
    std::string key;    // path such as accounts[2].max_lots; empty = the document
    std::string text;   // what is wrong and what is allowed
};

/// "file:line: key: text".
[[nodiscard]] std::string to_string(const Mistake& m);

/// Parses `text`. Syntax errors and repeated keys are appended to `mistakes`.
/// @param file only for messages.
/// @return nothing after a syntax error; with repeated keys the first one counts.
[[nodiscard]] std::optional<JsonNode> parse_json(std::string_view text, const std::string& file,
                                                 std::vector<Mistake>& mistakes);

/// Writes the node back as JSON (numbers as they were written).
[[nodiscard]] std::string to_json(const JsonNode& node);

}  // namespace millrace
