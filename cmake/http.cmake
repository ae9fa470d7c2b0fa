# libskua-http: what it is built from and linked with.
set(SKUA_WITH_HTTP AUTO CACHE STRING "libskua-http, which needs llhttp: ON, OFF or AUTO")
set_property(CACHE SKUA_WITH_HTTP PROPERTY STRINGS AUTO ON OFF)

# Debian 13 and others have it as a library; Debian 12 as C sources in node-llhttp.
set(skua_http OFF)
if(NOT SKUA_WITH_HTTP STREQUAL "OFF")
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
        pkg_check_modules(LLHTTP QUIET IMPORTED_TARGET libllhttp)
    endif()
    find_path(LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
    find_path(LLHTTP_HEADERS llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH)
    if(TARGET PkgConfig::LLHTTP OR (LLHTTP_SOURCES AND LLHTTP_HEADERS))
        set(skua_http ON)
    elseif(SKUA_WITH_HTTP STREQUAL "ON")
        message(FATAL_ERROR "SKUA_WITH_HTTP=ON, but there is no llhttp: neither libllhttp nor "
                            "Debian's node-llhttp")
    endif()
endif()
message(STATUS "Skua: HTTP ${skua_http}")
if(NOT skua_http)
    return()
endif()

file(GLOB skua_http_sources CONFIGURE_DEPENDS src/http/*/*.c)
add_library(skua-http ${skua_http_sources})
add_library(skua::http ALIAS skua-http)
target_link_libraries(skua-http PRIVATE $<BUILD_INTERFACE:skua_flags> PUBLIC skua)
target_include_directories(skua-http PRIVATE src)
target_compile_options(skua-http PRIVATE -ffunction-sections -fdata-sections)
set(SKUA_HTTP_PC_PRIVATE "")
if(TARGET PkgConfig::LLHTTP)
    set(SKUA_HTTP_PC_PRIVATE "-lllhttp")
    target_link_libraries(skua-http PRIVATE PkgConfig::LLHTTP)
else()
    add_library(skua_llhttp OBJECT ${LLHTTP_SOURCES}/llhttp.c ${LLHTTP_SOURCES}/api.c
                                   ${LLHTTP_SOURCES}/http.c)
    target_include_directories(skua_llhttp PUBLIC ${LLHTTP_HEADERS})
    target_compile_definitions(skua_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
    target_compile_options(skua_llhttp PRIVATE -O2 -fvisibility=hidden)
    set_target_properties(skua_llhttp PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_sources(skua-http PRIVATE $<TARGET_OBJECTS:skua_llhttp>)
    target_include_directories(skua-http PRIVATE ${LLHTTP_HEADERS})
    target_compile_definitions(skua-http PRIVATE LLHTTP_STRICT_MODE=1)
endif()
set_target_properties(
    skua-http PROPERTIES C_VISIBILITY_PRESET hidden VERSION ${PROJECT_VERSION}
                         SOVERSION ${PROJECT_VERSION_MAJOR} POSITION_INDEPENDENT_CODE ON)

# The parser under libFuzzer: its own sources again, with what measures the ways it takes.
option(SKUA_FUZZ "Build fuzz_http_request, which needs clang" OFF)
if(SKUA_FUZZ AND LLHTTP_SOURCES AND CMAKE_C_COMPILER_ID MATCHES "Clang")
    file(GLOB skua_fuzz_sources CONFIGURE_DEPENDS src/http/core/*.c src/http/h1/*.c)
    add_executable(
        fuzz_http_request tests/http/fuzz_http_request.c ${skua_fuzz_sources}
                          ${LLHTTP_SOURCES}/llhttp.c ${LLHTTP_SOURCES}/api.c
                          ${LLHTTP_SOURCES}/http.c)
    target_link_libraries(fuzz_http_request PRIVATE skua skua_flags)
    target_include_directories(fuzz_http_request PRIVATE src ${LLHTTP_HEADERS})
    target_compile_definitions(fuzz_http_request PRIVATE LLHTTP_STRICT_MODE=1)
    target_compile_options(fuzz_http_request PRIVATE -O1 -g -fsanitize=fuzzer,address)
    target_link_options(fuzz_http_request PRIVATE -fsanitize=fuzzer,address)
endif()
