# libskua-otel: what it is built from and linked with. Its exporters use libskua-http's client.
set(SKUA_WITH_OTEL AUTO CACHE STRING "libskua-otel, which needs libskua-http: ON, OFF or AUTO")
set_property(CACHE SKUA_WITH_OTEL PROPERTY STRINGS AUTO ON OFF)
if(SKUA_WITH_OTEL STREQUAL "ON" AND NOT TARGET skua-http)
    message(FATAL_ERROR "SKUA_WITH_OTEL=ON, but libskua-http is not built")
endif()
set(skua_otel OFF)
if(TARGET skua-http AND NOT SKUA_WITH_OTEL STREQUAL "OFF")
    set(skua_otel ON)
endif()
message(STATUS "Skua: OpenTelemetry ${skua_otel}")
if(NOT skua_otel)
    return()
endif()

file(GLOB skua_otel_sources CONFIGURE_DEPENDS src/otel/*/*.c)
add_library(skua-otel ${skua_otel_sources})
add_library(skua::otel ALIAS skua-otel)
target_link_libraries(skua-otel PRIVATE $<BUILD_INTERFACE:skua_flags> PUBLIC skua-http skua)
target_include_directories(skua-otel PRIVATE src)
target_compile_options(skua-otel PRIVATE -ffunction-sections -fdata-sections)
set_target_properties(
    skua-otel PROPERTIES C_VISIBILITY_PRESET hidden VERSION ${PROJECT_VERSION}
                         SOVERSION ${PROJECT_VERSION_MAJOR} POSITION_INDEPENDENT_CODE ON)
