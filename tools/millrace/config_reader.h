// ObjectReader: reads one JSON object of a configuration, field by field.
//
// Whatever is asked for is a known key; done() complains about all others, with the nearest known
// one. Every mistake is collected, none stops the reading, so a user sees all of them at once.
#pragma once

#include "core/types.h"
#include "tools/millrace/json_doc.h"

#include <functional>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {

/// What one reading of a configuration collects.
struct ReadLog {
    explicit ReadLog(const std::string& name) : file{name}, text_file{name} {}
    std::string file;
    std::vector<Mistake> mistakes;
    std::set<std::string>
        known_keys;         // every path asked for, list indexes as []: for the schema test
    std::string text_file;  // what is read in its place; mistakes are the file's
    std::string text;       // what was read
};

/// Bounds of an integer, both allowed.
struct IntRange {
    std::int64_t min;
    std::int64_t max;
};
/// Bounds of a decimal in 1e-8, both allowed.
struct DecimalRange {
    std::int64_t min;
    std::int64_t max;
};
/// Bounds of a text's length in bytes.
struct TextRange {
    std::size_t min;
    std::size_t max;
};

class ObjectReader {
public:
    /// @param path of the object, "" for the document.
    ObjectReader(const JsonNode& node, std::string path, ReadLog& log);

    /// Each of these leaves `out` as it is (the default) when the key is absent or wrong.
    void integer(std::string_view key, std::int64_t& out, IntRange range);
    void integer(std::string_view key, std::uint32_t& out, IntRange range);
    void decimal(std::string_view key, std::int64_t& out, DecimalRange range);
    void boolean(std::string_view key, bool& out);
    void text(std::string_view key, std::string& out, TextRange range);
    /// A name: text that may also stand in file names, ring names and commands.
    void name(std::string_view key, std::string& out);
    void texts(std::string_view key, std::vector<std::string>& out);

    /// One of a few words.
    template <class E>
    void choice(std::string_view key, E& out,
                std::initializer_list<std::pair<const char*, E>> words) {
        const JsonNode* node = take(key, JsonNode::Kind::String);
        if (node == nullptr) {
            return;
        }
        std::vector<std::string> allowed;
        for (const auto& [word, value] : words) {
            if (node->text == word) {
                out = value;
                return;
            }
            allowed.emplace_back(word);
        }
        unknown_word(key, *node, allowed);
    }

    /// Calls `read` with a reader of the nested object, if it is there.
    void object(std::string_view key, const std::function<void(ObjectReader&)>& read);
    /// Calls `read` for each object of the list, if it is there.
    void list(std::string_view key, const std::function<void(ObjectReader&)>& read);

    /// `key` must be there.
    void require(std::string_view key);
    /// Reports every key that was not asked for.
    void done();

    /// Adds a mistake at `key` (or at the object, if it has no such key).
    void complain(std::string_view key, std::string text);
    [[nodiscard]] bool has(std::string_view key) const noexcept {
        return node_.find(key) != nullptr;
    }
    [[nodiscard]] unsigned line() const noexcept { return node_.line; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    [[nodiscard]] const JsonNode* take(std::string_view key, JsonNode::Kind kind);
    [[nodiscard]] std::string path_of(std::string_view key) const;
    void unknown_word(std::string_view key, const JsonNode& node,
                      const std::vector<std::string>& allowed);

    const JsonNode& node_;
    std::string path_;
    ReadLog& log_;
    std::vector<std::string> asked_;
};

/// The candidate that `word` most likely meant; empty if none is near.
[[nodiscard]] std::string nearest(std::string_view word,
                                  const std::vector<std::string>& candidates);

}  // namespace millrace
