// MQL5's types as C++ ones: string, arrays that know their bounds, the trade structures.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = unsigned long;
static_assert(sizeof(long) == 8, "MQL5's long has 64 bits");
using datetime = long;

/// MQL5 ends a program that reaches beyond an array: so does this, and the test sees it.
[[noreturn]] inline void mql_halt(const char* why) {
    std::fprintf(stderr, "mt5_host: the program was halted: %s\n", why);
    std::_Exit(70);
}

/// A string: never null, compared by value. (MQL5's are UTF-16; the EA only passes them on.)
class string {
public:
    string() = default;
    string(const char* text) : text_{text == nullptr ? "" : text} {}  // implicit, as in MQL5
    string(std::string text) : text_{std::move(text)} {}
    [[nodiscard]] const std::string& str() const { return text_; }
    [[nodiscard]] const char* c_str() const { return text_.c_str(); }
    friend bool operator==(const string& a, const string& b) { return a.text_ == b.text_; }
    friend string operator+(const string& a, const string& b) { return string{a.text_ + b.text_}; }

private:
    std::string text_;
};

/// Dynamic or fixed array of MQL5, always checked. A new element of a dynamic array is zeroed here
/// to 0xCD bytes where it is of a plain type: MQL5 leaves it undefined.
template <class T>
class MqlArray {
public:
    MqlArray() = default;
    explicit MqlArray(int size, bool fixed) : fixed_{fixed} { resize(size); }
    [[nodiscard]] int size() const { return static_cast<int>(items_.size()); }
    [[nodiscard]] bool is_fixed() const { return fixed_; }
    void resize(int size) {
        const std::size_t before = items_.size();
        items_.resize(static_cast<std::size_t>(size));
        if constexpr (std::is_arithmetic_v<T>) {
            for (std::size_t i = before; i < items_.size(); ++i) {
                std::memset(&items_[i], 0xCD, sizeof(T));
            }
        }
    }
    template <class I>
    T& operator[](I i) {
        check(static_cast<long>(i));
        return items_[static_cast<std::size_t>(i)];
    }
    template <class I>
    const T& operator[](I i) const {
        check(static_cast<long>(i));
        return items_[static_cast<std::size_t>(i)];
    }
    T* data() { return items_.data(); }
    [[nodiscard]] const T* data() const { return items_.data(); }

private:
    void check(long i) const {
        if (i < 0 || i >= static_cast<long>(items_.size())) {
            mql_halt("array out of range");
        }
    }
    std::vector<T> items_;
    bool fixed_ = false;
};

template <class T>
MqlArray<T> mql_fixed(int size) {
    return MqlArray<T>{size, true};
}
