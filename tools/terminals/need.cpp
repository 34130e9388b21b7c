#include "tools/terminals/need.h"

#include "persist/engine_recovery.h"
#include "persist/journal_reader.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/start_check.h"

namespace millrace::terminals {

std::vector<bool> accounts_in_need(const Config& config, const std::vector<std::string>& names,
                                   std::string& message) {
    std::vector<bool> need(names.size(), false);
    const auto ids = IdBook::load(config.journal.dir, message);
    if (!ids) {
        return need;
    }
    Engine engine{capacity_of(config, config.accounts_max)};
    if (!load_state(config.journal.dir, kWholeLog, engine, message)) {
        return need;
    }
    // The log is being written meanwhile: as far as it can be read is far enough for an order of
    // starts.
    std::string ignored;
    (void)replay_files(config.journal.dir, kWholeLog, engine, ignored);
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::uint32_t id = ids.value().find(NameKind::Account, names[i]);
        if (id < engine.account_count()) {
            const Account& a = engine.account(AccountId{id});
            need[i] = a.live_orders > 0 || a.open_positions > 0;
        }
    }
    return need;
}

}  // namespace millrace::terminals
