#include "tools/explain/book.h"

#include <charconv>

namespace millrace::explain {

std::string Book::name(NameKind kind, const char* what, std::uint32_t id) const {
    if (id == kNoId) {
        return std::string{"no "} + what;
    }
    const std::string known = ids_.name_of(kind, id);
    return known.empty() ? std::string{what} + " " + std::to_string(id) : known;
}

std::string Book::account(AccountId id) const {
    return name(NameKind::Account, "account", id.value);
}
std::string Book::symbol(SymbolId id) const {
    return name(NameKind::Symbol, "symbol", id.value);
}
std::string Book::group(GroupId id) const {
    return name(NameKind::Group, "group", id.value);
}
std::string Book::source(SourceId id) const {
    return name(NameKind::Source, "source", id.value);
}

AccountId Book::find_account(const std::string& text) const {
    if (const std::uint32_t id = ids_.find(NameKind::Account, text); id != kNoId) {
        return AccountId{id};
    }
    std::uint32_t id = kNoId;
    const char* end = text.data() + text.size();
    const bool number = std::from_chars(text.data(), end, id).ptr == end && !text.empty();
    return AccountId{number && !ids_.name_of(NameKind::Account, id).empty() ? id : kNoId};
}

}  // namespace millrace::explain
