// The demo's executable as a user starts it: its own process, its JSON, its exit status.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>
#include <string>

#include "tools/demo_run/child.h"
#include "tools/demo_run/workspace.h"

namespace millrace::demo {

/// A folder for what the runs of one test print. Threads: one.
class DemoFolder {
public:
    DemoFolder() {
        std::string message;
        auto made = Workspace::create("", message);
        EXPECT_TRUE(made) << message;
        folder_ = std::move(made.value());
    }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_.path(name); }
    [[nodiscard]] std::string text(const std::string& name) const {
        std::stringstream all;
        all << std::ifstream{path(name)}.rdbuf();
        return all.str();
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream{path(name)} << text;
    }
    /// Runs a shell's line to its end. @return its exit status was 0.
    [[nodiscard]] bool shell(const std::string& line) const {
        std::string message;
        auto child = Child::spawn({"/bin/sh", "-c", line}, path("shell.log"), message);
        return child && child.value().wait(seconds(60)) && child.value().status() == 0;
    }

private:
    Workspace folder_;
};

/// One run, which goes on beside others until finish().
class DemoProcess {
public:
    /// @param before words of a shell before the demo's own, such as another program that runs it.
    DemoProcess(const DemoFolder& folder, std::string name, const std::string& options,
                const std::string& before = "exec ")
        : folder_{folder}, name_{std::move(name)} {
        std::string message;
        const std::string line = before + MILLRACE_DEMO + " --json " + options + " >" +
                                 folder.path(name_ + ".json") + " 2>" + folder.path(name_ + ".err");
        auto child = Child::spawn({"/bin/sh", "-c", line}, folder.path(name_ + ".log"), message);
        EXPECT_TRUE(child) << message;
        child_ = std::move(child.value());
    }

    /// @return its report; discarded JSON if it printed none.
    nlohmann::json finish() {
        EXPECT_TRUE(child_.wait(seconds(150))) << name_ << " is still running";
        return nlohmann::json::parse(folder_.text(name_ + ".json"), nullptr, false);
    }
    /// After finish(): "exit status 0".
    [[nodiscard]] std::string status() const { return child_.how_it_ended(); }
    /// What it said on standard error.
    [[nodiscard]] std::string said() const { return folder_.text(name_ + ".err"); }

    /// finish(), and nothing lost, doubled, in doubt or left out.
    nlohmann::json finish_clean() {
        nlohmann::json report = finish();
        EXPECT_TRUE(report.is_object()) << status() << "\n" << said();
        EXPECT_EQ(status(), "exit status 0") << said();
        if (!report.is_object()) {
            return nlohmann::json::object();
        }
        EXPECT_EQ(report.at("lost"), 0);
        EXPECT_EQ(report.at("doubled"), 0);
        EXPECT_EQ(report.at("in_doubt"), 0);
        EXPECT_EQ(report.at("ok"), true) << report.at("problems").dump(1) << said();
        EXPECT_GT(report.at("books").at("executions"), 0) << name_ << ": nothing was traded";
        return report;
    }

private:
    const DemoFolder& folder_;
    std::string name_;
    Child child_;
};

}  // namespace millrace::demo
