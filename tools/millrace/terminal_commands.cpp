#include "tools/millrace/terminal_commands.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/millrace/locate.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/terminal_config.h"

namespace millrace {
namespace {

using nlohmann::json;

constexpr timeval kAnswerMax{.tv_sec = 10, .tv_usec = 0};

struct TerminalOptions {
    Target target;
    std::vector<std::string> accounts;
    bool json = false;
    bool dry_run = false;
};

/// Of the pipeline that is meant; by a configuration alone, if one is given: terminals may run
/// without a pipeline.
Result<std::string> journal_dir_of(const Target& target, std::string& message) {
    if (!target.config.empty()) {
        const auto config = config_that_locates(target.config, message);
        return config ? Result<std::string>{config.value().journal.dir} : config.error();
    }
    const auto segment = attach_target(target, message);
    return segment ? Result<std::string>{segment.value().header().journal_dir} : segment.error();
}

/// One line there, one line back. @return empty with errno set if nobody answers.
std::string ask(const std::string& folder, const std::string& line) {
    // From inside the folder: its whole path may be longer than an address.
    if (::chdir(folder.c_str()) != 0) {
        return "";
    }
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, kTerminalsControl);  // short, and a constant
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kAnswerMax, sizeof kAnswerMax);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kAnswerMax, sizeof kAnswerMax);
    std::string answer;
    const std::string out = line + "\n";
    bool ok = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
              ::send(fd, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
    while (ok && (answer.empty() || answer.back() != '\n')) {
        char bytes[4096];
        const ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
        ok = n > 0;
        answer.append(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
    }
    const int why = errno;
    ::close(fd);
    errno = why;
    return ok ? answer : "";
}

void print(const json& terminals) {
    std::printf("%-16s %-9s %8s %8s %-8s %8s  %s\n", "account", "state", "for s", "pid", "session",
                "restarts", "last end");
    for (const json& t : terminals) {
        std::printf("%-16s %-9s %8ld %8d %-8s %8u  %s\n", t.value("account", "").c_str(),
                    t.value("state", "").c_str(), t.value("for_s", 0L), t.value("pid", 0),
                    t.value("session", false) ? "up" : "-", t.value("restarts", 0U),
                    t.value("last_end", "").c_str());
    }
}

/// A dry run: how those stand that are named.
int would(const json& terminals, const std::vector<std::string>& accounts,
          const std::string& verb) {
    for (const std::string& account : accounts) {
        const auto t = std::find_if(terminals.begin(), terminals.end(), [&](const json& each) {
            return each.value("account", "") == account;
        });
        if (t == terminals.end()) {
            return complain("no account with a \"terminal\" is called \"" + account + "\"");
        }
        std::printf("%s: would be told to %s (now %s, pid %d)\n", account.c_str(), verb.c_str(),
                    t->value("state", "").c_str(), t->value("pid", 0));
    }
    std::printf("nothing was changed\n");
    return kExitOk;
}

int say(const TerminalOptions& options, const std::string& verb) {
    std::string message;
    const auto dir = journal_dir_of(options.target, message);
    if (!dir) {
        return complain(message);
    }
    const bool looks = verb == "list" || options.dry_run;
    const json request{{"verb", looks ? "list" : verb}, {"accounts", options.accounts}};
    const std::string line = ask(terminals_folder(dir.value()), request.dump());
    if (line.empty()) {
        return complain(std::string{"nobody keeps terminals of this pipeline ("} +
                        std::strerror(errno) +
                        "): no account of its configuration has a \"terminal\", or it does not "
                        "run, or millrace-terminals is being started again; see the log of "
                        "`millrace up`");
    }
    const json answer = json::parse(line, nullptr, false);
    if (!answer.is_object()) {
        return complain("millrace-terminals answers what this build does not understand: " + line);
    }
    if (answer.contains("error")) {
        return complain(answer.value("error", ""));
    }
    if (options.dry_run) {
        return would(answer.value("terminals", json::array()), options.accounts, verb);
    }
    if (verb != "list") {
        for (const std::string& account : options.accounts) {
            std::printf("%s: %s\n", account.c_str(), verb.c_str());
        }
    } else if (options.json) {
        std::printf("%s\n", answer.dump(2).c_str());
    } else {
        print(answer.value("terminals", json::array()));
    }
    return kExitOk;
}

void add_verb(CLI::App* to, Command& command, const std::string& verb, const char* help) {
    CLI::App* sub = to->add_subcommand(verb, help);
    auto options = std::make_shared<TerminalOptions>();
    sub->add_option("-c,--config", options->target.config, "configuration file of the pipeline");
    sub->add_option("-s,--segment", options->target.segment,
                    "name or path of its segment (default: the only one on this host)");
    if (verb == "list") {
        sub->add_flag("--json", options->json, "one JSON object");
    } else {
        sub->add_option("NAME", options->accounts, "accounts")->required();
        sub->add_flag("--dry-run", options->dry_run, "say what would be done, and to whom");
    }
    sub->callback([&command, options, verb] {
        command.run = [options, verb] { return say(*options, verb); };
    });
}

}  // namespace

void add_terminal_commands(CLI::App& app, Command& command) {
    CLI::App* terminal =
        app.add_subcommand("terminal", "show, start and stop the terminals that run here");
    terminal->require_subcommand(1);
    add_verb(terminal, command, "list", "every terminal and how it stands");
    add_verb(terminal, command, "restart", "end it and start it again, whatever it is doing");
    add_verb(terminal, command, "stop", "end it; it stays stopped, over restarts too");
    add_verb(terminal, command, "start", "start it, also after three restarts were not enough");
}

}  // namespace millrace
