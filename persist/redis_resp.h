// RespCommands: Redis commands as bytes, many to one write. RESP2: *<args> then $<bytes> each.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace millrace {

class RespCommands {
public:
    /// Begins a command of `args` words, its name included; exactly that many arg() follow.
    void begin(std::size_t args) {
        head('*', args);
        ++count_;
    }
    void arg(std::string_view text) {
        head('$', text.size());
        bytes_.append(text);
        bytes_.append("\r\n", 2);
    }
    /// One word from two parts, without joining them first.
    void arg(std::string_view first, std::string_view second) {
        head('$', first.size() + second.size());
        bytes_.append(first).append(second).append("\r\n", 2);
    }
    template <std::integral T>
    void arg(T value) {
        char text[24];
        const auto end = std::to_chars(text, text + sizeof text, value).ptr;
        arg(std::string_view{text, static_cast<std::size_t>(end - text)});
    }
    /// A whole command.
    void add(std::initializer_list<std::string_view> words) {
        begin(words.size());
        for (const std::string_view word : words) {
            arg(word);
        }
    }
    void clear() noexcept {
        bytes_.clear();  // keeps its memory for the next batch
        count_ = 0;
    }
    /// bytes() have been sent: what follows begins anew, and the replies to them are still due.
    void sent() noexcept { bytes_.clear(); }
    [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
    /// Commands since clear(): as many replies will come.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    void head(char kind, std::size_t n) {
        char text[24];
        text[0] = kind;
        const auto end = std::to_chars(text + 1, text + sizeof text - 2, n).ptr;
        end[0] = '\r';
        end[1] = '\n';
        bytes_.append(text, static_cast<std::size_t>(end + 2 - text));
    }

    std::string bytes_;
    std::size_t count_ = 0;
};

}  // namespace millrace
