// IdBook: the dense id of every configured name, stable across edits, never used twice.
//
//     <journal dir>/ids.json   {"version": 1, "accounts": {"a1": 0, ...}, ..., "members": [[0, 3],
//     ...]}
//
// Ids index the engine's tables and stand in the journal, so a name keeps its id for ever, even
// while it is absent from the configuration. A name that was removed for good gives its id up,
// which is used no more: given again, the name gets another. `members` holds every pair (group,
// account) ever sent, so that one that was removed can be switched off.
#pragma once

#include "core/result.h"

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace millrace {

/// Currency: but the common one, which has no id.
enum class NameKind : std::uint8_t { Symbol, Group, Account, Source, Currency };
inline constexpr std::size_t kNameKinds = 5;

class IdBook {
public:
    /// Reads `<journal_dir>/ids.json`; an absent file is an empty book.
    /// @return BadInput if the file is damaged: `message` names it. It is never guessed at or made
    /// anew, for an id used twice would mix two accounts up.
    static Result<IdBook> load(const std::string& journal_dir, std::string& message);

    /// Writes it: temporary file, fsync, rename, fsync of the folder.
    /// Crash: the old or the new book, never a mixture.
    [[nodiscard]] Status save(const std::string& journal_dir, std::string& message) const;

    /// The id of `name`, assigned now if it is new. Changes the book in memory only.
    std::uint32_t assign(NameKind kind, const std::string& name);
    /// Puts back what a lost book said: `name` has `id`. Each id of a kind in turn, from 0 on: one
    /// that nobody can name any more is put back as `retired`, under whatever name.
    void put_back(NameKind kind, std::uint32_t id, const std::string& name, bool retired);
    /// Takes `name` out for good, with its memberships; its id is never assigned again. No change
    /// if it has none.
    void retire(NameKind kind, const std::string& name);
    /// The id of `name`, kNoId if it has none.
    [[nodiscard]] std::uint32_t find(NameKind kind, const std::string& name) const;
    /// The name of `id`, also of one that was removed; empty if there is none.
    [[nodiscard]] std::string name_of(NameKind kind, std::uint32_t id) const;
    [[nodiscard]] const std::map<std::string, std::uint32_t>& names(NameKind kind) const {
        return names_[static_cast<std::size_t>(kind)];
    }

    using Member = std::pair<std::uint32_t, std::uint32_t>;  // group id, account id
    [[nodiscard]] std::set<Member>& members() noexcept { return members_; }
    [[nodiscard]] const std::set<Member>& members() const noexcept { return members_; }

    friend bool operator==(const IdBook&, const IdBook&) = default;

private:
    std::array<std::map<std::string, std::uint32_t>, kNameKinds> names_;
    std::array<std::map<std::uint32_t, std::string>, kNameKinds> retired_;
    std::set<Member> members_;
};

/// Replaces `path` by `text` durably: temporary file, fsync, rename, fsync of the folder.
/// @param mode of the new file.
[[nodiscard]] Status replace_file(const std::string& path, const std::string& text, unsigned mode,
                                  std::string& message);

}  // namespace millrace
