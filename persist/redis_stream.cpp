#include "persist/redis_stream.h"

#include <charconv>
#include <cstdio>
#include <fstream>

namespace millrace {
namespace {

RedisStreamEntry entry_of(const RedisView& reply) {
    RedisStreamEntry e;
    e.id = reply[0].text();
    const RedisView fields = reply[1];
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        e.fields.emplace_back(fields[i].text(), fields[i + 1].text());
    }
    return e;
}

std::pair<std::uint64_t, std::uint64_t> parts(std::string_view id) noexcept {
    std::pair<std::uint64_t, std::uint64_t> p{0, 0};
    const char* const end = id.data() + id.size();
    const char* const dash = std::from_chars(id.data(), end, p.first).ptr;
    if (dash != end) {
        (void)std::from_chars(dash + 1, end, p.second);
    }
    return p;
}

bool is_before(std::string_view a, std::string_view b) noexcept {
    return parts(a) < parts(b);
}

/// The id that follows `id`.
std::string after(std::string_view id) {
    const auto [ms, n] = parts(id);
    return std::to_string(ms) + "-" + std::to_string(n + 1);
}

}  // namespace

RedisStream::RedisStream(RedisStreamOptions options)
    : options_{std::move(options)}, primary_{options_.place}, owner_{options_.owner} {
    std::ifstream in{options_.position_file};
    std::string saved;
    // Anything else in the file is no position; from the start is always safe (the ledger).
    if (in >> saved && saved.find_first_not_of("0123456789-") == std::string::npos) {
        position_ = saved;
    }
}

Status RedisStream::failed(const Status& status) noexcept {
    message_ = link_.message();
    link_.close();
    return status;
}

Status RedisStream::open() noexcept {
    if (auto connected = primary_.connect(link_); !connected) {
        message_ = primary_.message();
        return connected;
    }
    if (auto ours = keep_owner(); !ours) {
        return ours;
    }
    own_from_ = "0";
    claim_from_ = "0-0";
    return make_group();
}

Status RedisStream::keep_owner() noexcept {
    const Status ours = owner_.keep(link_);
    if (!ours) {
        message_ = owner_.message();
        link_.close();
    }
    return ours;
}

/// An entry that was done and is read again is a repeat, which the ledger drops; one that is
/// skipped is lost. So when in doubt the group begins earlier.
Status RedisStream::make_group() noexcept {
    const auto another = ends_before_position();
    if (!another) {
        return failed(another.error());
    }
    const std::string from = another.value() ? "0" : position_;
    const auto made =
        link_.call({"XGROUP", "CREATE", options_.stream, options_.group, from, "MKSTREAM"});
    if (!made) {
        const bool there = link_.message().find("BUSYGROUP") != std::string::npos;
        return there ? ok_status() : failed(made.error());
    }
    if (!another.value()) {
        return ok_status();
    }
    message_ = options_.stream + " ends before " + position_ +
               ", up to which it was done: it began again or is an older copy, and is read from "
               "its start";
    position_ = "0";
    link_.close();  // told as a failure, once: the group is there when it is opened again
    return {Errc::BadCursor, "redis stream"};
}

/// After a FLUSHALL, or on a server that never had the newest entries: what producers with ids of
/// their own, or with a slower clock, write there now would lie behind a group at position_.
Result<bool> RedisStream::ends_before_position() noexcept {
    const auto stream = link_.call({"XINFO", "STREAM", options_.stream});
    if (!stream && !link_.is_open()) {
        return stream.error();
    }
    // No such key: what will be there begins at 0.
    return is_before(stream ? stream.value().field("last-generated-id").text() : "0-0", position_);
}

Status RedisStream::read_page(std::initializer_list<std::string_view> words,
                              std::vector<RedisStreamEntry>& out, std::size_t& got) noexcept {
    const auto page = link_.call(words);
    if (!page && page.code() == Errc::NotFound) {  // NOGROUP
        return make_group();
    }
    if (!page) {
        return failed(page.error());
    }
    const RedisView entries = page.value()[0][1];  // of the one stream that was asked for
    got = entries.size();
    for (std::size_t i = 0; i < got; ++i) {
        out.push_back(entry_of(entries[i]));
    }
    return ok_status();
}

Status RedisStream::read(std::uint32_t count, Nanos wait,
                         std::vector<RedisStreamEntry>& out) noexcept {
    const std::string n = std::to_string(count);
    std::size_t got = 0;
    if (!own_from_.empty()) {
        const auto own = read_page({"XREADGROUP", "GROUP", options_.group, options_.consumer,
                                    "COUNT", n, "STREAMS", options_.stream, own_from_},
                                   out, got);
        own_from_ = got == 0 ? "" : out.back().id;
        if (!own || got != 0) {
            return own;
        }
    }
    if (wait.value < 1'000'000) {
        return read_page({"XREADGROUP", "GROUP", options_.group, options_.consumer, "COUNT", n,
                          "STREAMS", options_.stream, ">"},
                         out, got);
    }
    return read_page({"XREADGROUP", "GROUP", options_.group, options_.consumer, "COUNT", n, "BLOCK",
                      std::to_string(wait.value / 1'000'000), "STREAMS", options_.stream, ">"},
                     out, got);
}

Status RedisStream::claim(std::uint32_t count, Nanos idle,
                          std::vector<RedisStreamEntry>& out) noexcept {
    const auto page = link_.call({"XAUTOCLAIM", options_.stream, options_.group, options_.consumer,
                                  std::to_string(idle.value / 1'000'000), claim_from_, "COUNT",
                                  std::to_string(count)});
    if (!page && page.code() == Errc::NotFound) {
        return make_group();
    }
    if (!page) {
        return failed(page.error());
    }
    claim_from_ = page.value()[0].text();
    const RedisView entries = page.value()[1];
    for (std::size_t i = 0; i < entries.size(); ++i) {
        out.push_back(entry_of(entries[i]));
    }
    return ok_status();
}

Status RedisStream::acknowledge(std::span<const std::string> ids) noexcept {
    if (ids.empty()) {
        return ok_status();
    }
    RespCommands command;
    command.begin(3 + ids.size());
    command.arg("XACK");
    command.arg(options_.stream);
    command.arg(options_.group);
    for (const std::string& id : ids) {
        command.arg(id);
    }
    const Status done = link_.run(command);
    return done || done.code() == Errc::NotFound ? ok_status() : failed(done);
}

Status RedisStream::refuse(const RedisStreamEntry& entry, std::string_view why) noexcept {
    RespCommands commands;
    commands.add({"MULTI"});
    commands.begin(10 + 2 * entry.fields.size());
    for (const std::string_view word : {"XADD", options_.refused.c_str(), "MAXLEN", "~"}) {
        commands.arg(word);
    }
    commands.arg(options_.refused_max);
    for (const std::string_view word : {std::string_view{"*"}, std::string_view{"entry"},
                                        std::string_view{entry.id}, std::string_view{"why"}, why}) {
        commands.arg(word);
    }
    for (const auto& [name, value] : entry.fields) {
        commands.arg(name);
        commands.arg(value);
    }
    commands.add({"XACK", options_.stream, options_.group, entry.id});
    commands.add({"EXEC"});
    const Status done = link_.run(commands);
    return done ? done : failed(done);
}

/// The first id that some group of the stream has not done with.
Result<std::string> RedisStream::done_below() noexcept {
    const auto groups = link_.call({"XINFO", "GROUPS", options_.stream});
    if (!groups) {
        return groups.error();
    }
    std::string below;
    for (std::size_t i = 0; i < groups.value().size(); ++i) {
        const RedisView group = groups.value()[i];
        std::string first = after(group.field("last-delivered-id").text());
        if (group.field("pending").integer() != 0) {
            const auto pending =
                link_.call({"XPENDING", options_.stream, group.field("name").text()});
            if (!pending) {
                return pending.error();
            }
            first = pending.value()[1].text();
        }
        below = below.empty() || is_before(first, below) ? first : below;
    }
    return below;
}

Status RedisStream::trim() noexcept {
    const auto below = done_below();
    if (!below) {
        return failed(below.error());
    }
    if (below.value().empty()) {
        return ok_status();
    }
    if (auto trimmed = link_.call({"XTRIM", options_.stream, "MINID", below.value()}); !trimmed) {
        return failed(trimmed.error());
    }
    // XGROUP CREATE begins behind the id that it is given: one less than the first not done.
    const auto [ms, n] = parts(below.value());
    const bool whole = n == 0;
    save_position(std::to_string(whole && ms > 0 ? ms - 1 : ms) + "-" +
                  std::to_string(whole ? UINT64_MAX : n - 1));
    return ok_status();
}

/// Not flushed: after a power cut an older position is read, which is safe.
void RedisStream::save_position(const std::string& id) noexcept {
    if (id == position_) {
        return;
    }
    position_ = id;
    if (options_.position_file.empty()) {
        return;
    }
    const std::string fresh = options_.position_file + ".new";
    {
        std::ofstream out{fresh, std::ios::trunc};
        out << id << "\n";
        if (!out.flush()) {
            return;  // the old one stays
        }
    }
    (void)std::rename(fresh.c_str(), options_.position_file.c_str());
}

}  // namespace millrace
