// AccountTable: which terminal may log in as which account. Grows when an account is added at run
// time: a login that it does not know makes it look into accounts.d again.
#pragma once

#include "gateway/session.h"
#include "tools/millrace/config.h"
#include "tools/millrace/id_book.h"

#include <string>
#include <unordered_map>

namespace millrace {

/// Threads: the broker stage's.
class AccountTable {
public:
    AccountTable(const Config& config, const IdBook& ids);

    /// @return false if no account has this login. Reads files only if accounts.d has changed
    /// since the last look.
    bool find(std::uint64_t login, TerminalAccount& found);

private:
    void add(const AccountConfig& account, const IdBook& ids);
    /// @return false if the book of ids cannot be read: another look is due.
    [[nodiscard]] bool read_added();

    std::string journal_dir_;
    std::string currency_;  // of accounts that name none; "" = of no matter
    std::int64_t folder_changed_ns_ = 0;
    std::unordered_map<std::uint64_t, TerminalAccount> accounts_;
};

}  // namespace millrace
