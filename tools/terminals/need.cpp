#include "tools/terminals/need.h"

#include <algorithm>
#include <span>

#include "persist/engine_recovery.h"
#include "persist/journal_reader.h"
#include "tools/millrace/apart.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/start_check.h"

namespace millrace::terminals {
namespace {

constexpr std::size_t kTextMax = 1024;

/// One byte for each of `names`.
void find_need(const Config& config, const std::vector<std::string>& names, const IdBook& ids,
               std::span<unsigned char> need, std::string& message) {
    Engine engine{capacity_of(config, config.accounts_max)};
    if (!load_state(config.journal.dir, kWholeLog, engine, message)) {
        return;
    }
    // The log is being written meanwhile: as far as it can be read is far enough for an order of
    // starts.
    std::string ignored;
    (void)replay_files(config.journal.dir, kWholeLog, engine, ignored);
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::uint32_t id = ids.find(NameKind::Account, names[i]);
        if (id < engine.account_count()) {
            const Account& a = engine.account(AccountId{id});
            need[i] = a.live_orders > 0 || a.open_positions > 0 ? 1 : 0;
        }
    }
}

}  // namespace

std::vector<bool> accounts_in_need(const Config& config, const std::vector<std::string>& names,
                                   std::string& message) {
    std::vector<bool> need(names.size(), false);
    const auto ids = IdBook::load(config.journal.dir, message);
    const SharedBytes found{names.size() + kTextMax};
    if (!ids || found.bytes().empty()) {
        return need;
    }
    // A record at which an engine halts would end this process with it.
    const std::span<unsigned char> text = found.bytes().subspan(names.size());
    const bool through = run_apart(
        [&] {
            std::string why;
            find_need(config, names, ids.value(), found.bytes(), why);
            std::copy_n(why.begin(), std::min(why.size(), text.size() - 1), text.begin());
        },
        message);
    if (!through) {
        message = "who reads the log for it: " + message;
        return need;
    }
    message = reinterpret_cast<const char*>(text.data());
    for (std::size_t i = 0; i < names.size(); ++i) {
        need[i] = found.bytes()[i] != 0;
    }
    return need;
}

}  // namespace millrace::terminals
