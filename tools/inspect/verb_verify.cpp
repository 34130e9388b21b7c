// verify: a report line a promise, and an exit status.
#include <fmt/core.h>

#include <filesystem>

#include "tools/inspect/locate.h"
#include "tools/inspect/verbs.h"
#include "tools/inspect/verify.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;

const char* word_of(Finding f) {
    return f == Finding::Holds ? "ok" : f == Finding::Broken ? "BROKEN" : "note";
}

int report(const VerifyOptions& o, const std::string& what, const Checks& checks) {
    const std::size_t broken = checks.count(Finding::Broken);
    ordered_json json = ordered_json::array();
    for (const Check& c : checks.all) {
        json.push_back({{"check", c.name}, {"result", word_of(c.finding)}, {"detail", c.detail}});
        if (!o.common.json) {
            print(fmt::format("{:<7} {:<18} {}\n", word_of(c.finding), c.name, c.detail));
        }
    }
    if (o.common.json) {
        print_json({{"what", what}, {"sound", broken == 0}, {"checks", json}});
    } else {
        print(broken == 0
                  ? fmt::format("{}: sound, {} checks\n", what, checks.all.size())
                  : fmt::format("{}: {} of {} checks BROKEN\n", what, broken, checks.all.size()));
    }
    return broken == 0 ? kOk : kFound;
}

int verify_directory(const VerifyOptions& o) {
    std::error_code none;
    if (!std::filesystem::is_directory(o.journal, none)) {
        return fail(kNoSegment, o.journal + " is no directory that can be read");
    }
    Checks checks;
    verify_journal(o.journal, nullptr, checks);
    return report(o, o.journal, checks);
}

}  // namespace

int run_verify(const VerifyOptions& o) {
    if (!o.journal.empty() && o.common.segment.empty()) {
        return verify_directory(o);
    }
    std::string message;
    const auto path = resolve(o.common.segment, o.common.dir, message);
    if (!path) {
        return fail(kNoSegment, message);
    }
    Checks checks;
    const auto segment = Segment::attach(path.value(), Segment::Mode::ReadOnly, message);
    const Errc why = segment.code();
    if (why == Errc::NotFound || why == Errc::IoError || why == Errc::BadAuth ||
        why == Errc::BadInput) {
        return fail(kNoSegment, message);  // nothing was read, so no promise is broken
    }
    if (!segment) {
        checks.broken("header", message + " [" + std::string{to_string(segment.code())} + "]");
        return report(o, path.value(), checks);
    }
    verify_segment(segment.value(), checks);
    const std::string directory =
        !o.journal.empty() ? o.journal : std::string{segment.value().header().journal_dir};
    if (o.with_journal || !o.journal.empty()) {
        // A directory given by hand may hold another pipeline's journal: only its own is compared.
        const bool own = directory == segment.value().header().journal_dir;
        verify_journal(directory, own ? &segment.value() : nullptr, checks);
    }
    return report(o, path.value(), checks);
}

}  // namespace millrace::inspect
