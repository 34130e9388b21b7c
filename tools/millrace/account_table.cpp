#include "tools/millrace/account_table.h"

#include <sys/stat.h>

#include <cstring>

#include "tools/millrace/log.h"

namespace millrace {
namespace {

std::int64_t changed_ns(const std::string& folder) {
    struct stat st{};
    if (::stat(folder.c_str(), &st) != 0) {
        return 0;
    }
    return st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec;
}

}  // namespace

AccountTable::AccountTable(const Config& config, const IdBook& ids)
    : journal_dir_{config.journal.dir},
      currency_{config.money.currency},
      folder_changed_ns_{changed_ns(accounts_folder(config.journal.dir))} {
    for (const AccountConfig& account : config.accounts) {
        add(account, ids);
    }
}

void AccountTable::add(const AccountConfig& account, const IdBook& ids) {
    static_assert(TerminalAccount::kKeyBytesMax >= 64);  // key_file.h's bound
    TerminalAccount t;
    t.account = AccountId{ids.find(NameKind::Account, account.name)};
    if (t.account.value == kNoId) {
        return;  // its id is not written yet: the next look finds it
    }
    std::memcpy(t.key.data(), account.key.data(), account.key.size());
    t.key_bytes = account.key.size();
    t.gate = account.gate == Durability::Disk ? GateLevel::Disk : GateLevel::Process;
    t.margin_mode = account.margin_mode;
    t.symbol_prefix = make_text<8>(account.symbol_prefix);
    t.symbol_suffix = make_text<8>(account.symbol_suffix);
    t.facts.currency = make_text<8>(account.currency.empty() ? currency_ : account.currency);
    t.facts.leverage = account.leverage;
    static_assert(static_cast<int>(AccountKind::Any) == static_cast<int>(AccountFacts::Kind::Any));
    t.facts.kind = static_cast<AccountFacts::Kind>(account.kind);
    accounts_[account.login] = t;
}

bool AccountTable::read_added() {
    std::string message;
    const auto ids = IdBook::load(journal_dir_, message);
    if (!ids) {
        log_error(message);
        return false;
    }
    std::vector<Mistake> mistakes;
    for (const AccountConfig& account : read_added_accounts(journal_dir_, mistakes)) {
        add(account, ids.value());
    }
    for (const Mistake& m : mistakes) {
        log_error(to_string(m));
    }
    return true;
}

bool AccountTable::find(std::uint64_t login, TerminalAccount& found) {
    auto at = accounts_.find(login);
    if (at == accounts_.end()) {
        const std::int64_t changed = changed_ns(accounts_folder(journal_dir_));
        if (changed == folder_changed_ns_) {
            return false;
        }
        // Once it could be read: a book of ids that is put back later changes nothing in the
        // folder.
        if (read_added()) {
            folder_changed_ns_ = changed;
        }
        at = accounts_.find(login);
    }
    if (at == accounts_.end()) {
        return false;
    }
    found = at->second;
    return true;
}

}  // namespace millrace
