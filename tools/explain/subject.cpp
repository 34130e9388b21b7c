#include "tools/explain/subject.h"

#include <charconv>

#include "tools/explain/show.h"
#include "tools/query/history.h"

namespace millrace::explain {
namespace {

std::optional<std::uint64_t> whole_number(const std::string& text) {
    std::uint64_t n = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, n);
    const bool all = parsed.ec == std::errc{} && parsed.ptr == end;
    return all && !text.empty() ? std::optional{n} : std::nullopt;
}

std::uint64_t big_endian(const std::string& bytes, std::size_t at) {
    std::uint64_t n = 0;
    for (std::size_t i = at; i < at + 8; ++i) {
        n = n << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return n;
}

bool find_signal(Subject& subject, std::string& message) {
    const auto id = parse_uuid(subject.text);
    if (!id) {
        message = subject.text + ": not a signal's id (a UUID of 32 hex digits)";
        return false;
    }
    subject.signal = {big_endian(*id, 0), big_endian(*id, 8)};
    return true;
}

bool find_order(Subject& subject, std::string& message) {
    const auto n = whole_number(subject.text);
    if (!n || *n == 0) {
        message = subject.text +
                  ": not an order's number or magic number; `millrace orders` and `millrace query "
                  "orders` show them";
        return false;
    }
    subject.intent = Magic{*n}.tag() != 0 ? Magic{*n}.intent() : *n;
    return true;
}

bool find_account(Subject& subject, const Where& where, std::string& message) {
    subject.account = where.book.find_account(subject.text);
    const auto login = whole_number(subject.text);
    std::string known;
    for (const auto& [name, id] : where.book.ids().names(NameKind::Account)) {
        const auto* spec = where.configured.account(AccountId{id});
        const bool same = login && spec != nullptr && spec->spec.login == *login;
        if (same && subject.account.value == kNoId) {
            subject.account = AccountId{id};
        }
        known += " " + name;
    }
    if (subject.account.value == kNoId && known.empty() && login && *login < kNoId) {
        subject.account = AccountId{static_cast<std::uint32_t>(*login)};  // no names are known
    }
    if (subject.account.value == kNoId) {
        message = "no account is called \"" + subject.text + "\" in " + where.dir +
                  "; known:" + (known.empty() ? " none" : known);
        return false;
    }
    return true;
}

}  // namespace

std::optional<Subject> parse_subject(Subject::What what, const std::string& text,
                                     const Where& where, std::string& message) {
    Subject subject;
    subject.what = what;
    subject.text = text;
    const bool ok = what == Subject::What::Signal  ? find_signal(subject, message)
                    : what == Subject::What::Order ? find_order(subject, message)
                                                   : find_account(subject, where, message);
    return ok ? std::optional{subject} : std::nullopt;
}

std::string not_found(const Story& story, const Where& where, const std::string& store_said) {
    static constexpr const char* kWhat[] = {"signal", "order", "account"};
    std::string text = std::string{"no "} + kWhat[static_cast<std::size_t>(story.subject.what)] +
                       " " + story.subject.text + " in the logs of " + where.dir +
                       ": the journal has " + range_text(story.journal) + ", the effects log has " +
                       range_text(story.effects);
    for (const std::string& notice : story.notices) {
        text += "; " + notice;
    }
    return text + "; the store: " + store_said;
}

}  // namespace millrace::explain
