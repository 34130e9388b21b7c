// KillBoard: the kill commands in force, by account and by symbol.
//
// The stage remembers them to refuse later entries and to tell terminals that come back. A new
// stage rebuilds the board from the last 63 commands that the slots of `admin.broker` keep (where
// the 64th lies the next may be written); SessionEntry.killed holds the actions in force besides.
#pragma once

#include "gateway/bridge_wire.h"
#include "shm/segment.h"

#include <array>
#include <vector>

namespace millrace {

/// Threads: the broker stage. Memory: taken in the constructor.
class KillBoard {
public:
    /// Symbols that can be under a kill at one time; further ones replace the oldest cleared.
    static constexpr std::size_t kSymbolKillsMax = kSymbolsMax;

    explicit KillBoard(const Segment& segment);

    /// Takes one command in. @return false (nothing changed) if its scope cannot be resolved here:
    /// Group and Source are sent per account by the command line; an account must exist.
    [[nodiscard]] bool apply(const KillCommand& kill) noexcept;

    /// True if the kill concerns this account.
    [[nodiscard]] static bool concerns(const KillCommand& kill, AccountId account) noexcept {
        return kill.scope == KillScope::All || kill.scope == KillScope::Symbol ||
               (kill.scope == KillScope::Account && kill.scope_id == account.value);
    }

    /// True if no entry in `canonical` may leave for `account`.
    [[nodiscard]] bool stops(AccountId account, const Text<16>& canonical) const noexcept;

    /// The frames that tell a terminal what is in force (or was cleared), oldest account-wide kill
    /// first. @param index 0 .. frames(account) - 1.
    [[nodiscard]] std::size_t frames(AccountId account) const noexcept;
    [[nodiscard]] bridge::Kill frame(AccountId account, std::size_t index) const noexcept;

private:
    struct InForce {
        std::uint64_t kill_id = 0;
        std::uint8_t actions = 0;
        Text<16> symbol;
    };
    void apply_to_account(AccountId account, const KillCommand& kill) noexcept;
    [[nodiscard]] bool apply_to_symbol(const KillCommand& kill) noexcept;
    void restore();

    const Segment* segment_;
    std::vector<InForce> accounts_;
    std::array<InForce, kSymbolKillsMax> symbols_{};
    std::size_t symbol_count_ = 0;
};

}  // namespace millrace
