// Book: the names of ids, from the id book beside the journal.
#pragma once

#include "core/types.h"
#include "tools/millrace/id_book.h"

#include <string>

namespace millrace::explain {

class Book {
public:
    Book() = default;
    explicit Book(IdBook ids) : ids_{std::move(ids)} {}
    /// Names, or "account 3" where nobody knows a name.
    [[nodiscard]] std::string account(AccountId id) const;
    [[nodiscard]] std::string symbol(SymbolId id) const;
    [[nodiscard]] std::string group(GroupId id) const;
    [[nodiscard]] std::string source(SourceId id) const;
    /// The account of this name, or of this number if no name is like it; kNoId if neither.
    [[nodiscard]] AccountId find_account(const std::string& text) const;
    [[nodiscard]] const IdBook& ids() const noexcept { return ids_; }

private:
    [[nodiscard]] std::string name(NameKind kind, const char* what, std::uint32_t id) const;
    IdBook ids_;
};

}  // namespace millrace::explain
