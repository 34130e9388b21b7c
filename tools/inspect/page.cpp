#include "tools/inspect/page.h"

#include <algorithm>

namespace millrace::inspect {
namespace {

const char* ansi(Mood mood) noexcept {
    switch (mood) {
        case Mood::Head: return "\x1b[1m";
        case Mood::Warn: return "\x1b[33m";
        case Mood::Bad: return "\x1b[1;31m";
        case Mood::Plain: break;
    }
    return "";
}

}  // namespace

void Page::append(const Page& other, std::size_t lines) {
    for (std::size_t i = 0; i < std::min(lines, other.size()); ++i) {
        lines_.push_back(other.lines_[i]);
    }
}

std::string Page::text(bool color) const {
    std::string out;
    for (const Line& line : lines_) {
        const bool paint = color && (line.mood != Mood::Plain || line.marked);
        out += paint ? ansi(line.mood) : "";
        out += line.marked && color ? "\x1b[7m" : "";
        out += line.marked && !color ? ">" + line.text.substr(0, width_ - 1) : line.text;
        out += paint ? "\x1b[0m\n" : "\n";
    }
    return out;
}

}  // namespace millrace::inspect
