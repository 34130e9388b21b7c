#include "tools/millrace/operator_session.h"

#include <cstdio>

#include "tools/millrace/stages.h"

namespace millrace {

int complain(const std::string& text) {
    std::fprintf(stderr, "millrace: %s\n", text.c_str());
    return kExitError;
}

int complain(const std::vector<Mistake>& mistakes) {
    for (const Mistake& m : mistakes) {
        complain(to_string(m));
    }
    return kExitBadConfig;
}

Result<Session> open_session(const Target& target, std::string& message) {
    auto segment = attach_target(target, message);
    if (!segment) {
        return segment.error();
    }
    auto ids = IdBook::load(segment.value().header().journal_dir, message);
    if (!ids) {
        return ids.error();
    }
    return Session{std::move(segment).value(), std::move(ids).value()};
}

std::string unknown_name(const IdBook& ids, NameKind kind, const char* what,
                         const std::string& name) {
    std::string text = std::string{"no "} + what + " is called \"" + name + "\"; known:";
    for (const auto& [known, id] : ids.names(kind)) {
        text += " " + known;
    }
    return text;
}

}  // namespace millrace
