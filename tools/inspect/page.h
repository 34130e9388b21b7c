// Lines of a report: cut to the width, coloured as a whole where something needs a look.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::inspect {

/// How a line wants to be seen. Colour says nothing that the words do not say too.
enum class Mood { Plain, Head, Warn, Bad };

class Page {
public:
    explicit Page(unsigned width) noexcept : width_{width} {}

    void add(std::string_view line, Mood mood = Mood::Plain) {
        lines_.push_back({std::string{line.substr(0, width_)}, mood, false});
    }
    void blank() { lines_.push_back({}); }
    /// Marks the last line as the selected one: reversed, and `>` for those without colours.
    void mark_last() { lines_.back().marked = true; }
    [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }

    /// Adds the first `lines` lines of `other`.
    void append(const Page& other, std::size_t lines);

    /// The text, each line ended by a newline.
    [[nodiscard]] std::string text(bool color) const;

private:
    struct Line {
        std::string text;
        Mood mood = Mood::Plain;
        bool marked = false;
    };
    unsigned width_;
    std::vector<Line> lines_;
};

}  // namespace millrace::inspect
