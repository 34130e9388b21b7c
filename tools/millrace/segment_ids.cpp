#include "tools/millrace/segment_ids.h"

#include <map>
#include <string>

namespace millrace {
namespace {

void add(IdBook& book, NameKind kind, const NameEntry (&entries)[kNamesPerKind]) {
    for (std::uint32_t id = 0; id < kNamesPerKind; ++id) {
        // Acquire: pairs with the engine's release; the name is whole.
        if (entries[id].ready.load(std::memory_order_acquire) != 0) {
            book.put_back(kind, id, std::string{view(entries[id].name)}, false);
        }
    }
}

}  // namespace

IdBook ids_of_segment(const Segment& segment, const Config& config) {
    IdBook book;
    const NameTables& names = segment.names();
    add(book, NameKind::Symbol, names.symbols);
    add(book, NameKind::Group, names.groups);
    add(book, NameKind::Source, names.sources);
    std::map<std::uint64_t, std::uint32_t> by_login;
    for (std::uint32_t id = 0; id < segment.sessions(); ++id) {
        // Acquire: pairs with the engine stage's release when it defines the account.
        by_login[segment.session(AccountId{id}).login.load(std::memory_order_acquire)] = id;
    }
    by_login.erase(0);  // no account
    for (const AccountConfig& account : config.accounts) {
        if (const auto at = by_login.find(account.login); at != by_login.end()) {
            book.put_back(NameKind::Account, at->second, account.name, false);
        }
    }
    return book;
}

}  // namespace millrace
